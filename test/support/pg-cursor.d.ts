/** The package has no types of its own. */
declare module 'pg-cursor' {
	import type { Submittable } from 'pg'

	export default class Cursor implements Submittable {
		constructor(text: string, values?: readonly unknown[])
		submit(connection: object): void
		read(rows: number): Promise<unknown[]>
		close(): Promise<void>
	}
}
