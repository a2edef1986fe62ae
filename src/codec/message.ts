/** Limits messages to the maximum length for a record. */
import { MESSAGE_LENGTH_MAX } from '../model/limits.ts'

/** Maximum length of the note at the end of a cut message. */
const CUT_NOTE_LENGTH_MAX = 40

/**
 * Cuts a message that is longer than `MESSAGE_LENGTH_MAX`, and adds a note with the number of missing
 * characters. Never cuts within a surrogate pair.
 */
export function cutMessage(message: string): string {
	if (message.length <= MESSAGE_LENGTH_MAX) return message
	let length = MESSAGE_LENGTH_MAX - CUT_NOTE_LENGTH_MAX
	const unit = message.charCodeAt(length - 1)
	if (unit >= 0xd800 && unit < 0xdc00) length -= 1
	return `${message.slice(0, length)}… (${message.length - length} more)`
}
