/** A message in its one form: no longer than a record may carry. */
import { MESSAGE_LENGTH_MAX } from '../model/limits.ts'

/** Room for what is said at the end of a message that was cut. */
const CUT_NOTE_LENGTH_MAX = 40

/** A message that is too long, cut to `MESSAGE_LENGTH_MAX` with a note of how much is missing, never within a pair. */
export function cutMessage(message: string): string {
	if (message.length <= MESSAGE_LENGTH_MAX) return message
	let length = MESSAGE_LENGTH_MAX - CUT_NOTE_LENGTH_MAX
	const unit = message.charCodeAt(length - 1)
	if (unit >= 0xd800 && unit < 0xdc00) length -= 1
	return `${message.slice(0, length)}… (${message.length - length} more)`
}
