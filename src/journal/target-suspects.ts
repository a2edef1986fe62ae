/** Names in the target behind which more may be than a text that reads says. */
import type { TargetConnection } from './pg-target.ts'
import type { Suspects } from './reading.ts'

/** What is not Postgres' own has a higher oid. */
const OWN = 16_384
/** An empty name: operators or casts of the database's own, in a language in which functions can write. */
const NAMES = `select proname from pg_catalog.pg_proc where oid >= ${OWN}
	union select relname from pg_catalog.pg_class where oid >= ${OWN} and (relkind in ('v', 'f') or relhasrules or relrowsecurity)
	union select typname from pg_catalog.pg_type where oid >= ${OWN} and typtype = 'd'
	union select '' where exists (
		select from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
		where l.lanname not in ('internal', 'c') and (
			exists (select from pg_catalog.pg_operator o where o.oid >= ${OWN} and o.oprcode = p.oid)
			or exists (select from pg_catalog.pg_cast c where c.oid >= ${OWN} and c.castfunc = p.oid)))`

/** Where they cannot be read, everything is suspect. */
export async function addSuspectsOf(connection: TargetConnection, suspects: Suspects): Promise<void> {
	const { data, isLost } = await connection.ask({
		text: NAMES,
		params: [],
		keep: ([name]) => {
			if (name === '' || name == null) suspects.areEverywhere = true
			else suspects.add(name)
		},
	})
	if (isLost || data?.error !== undefined) suspects.areEverywhere = true
}
