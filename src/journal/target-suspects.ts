/** Finds the names of objects on the target that may have hidden effects when a read uses them. */
import type { TargetConnection } from './pg-target.ts'
import { OWN_OID_MIN, type Suspects } from './reading.ts'

/** User-defined functions in languages other than C and `internal`. */
const ROUTINES = `select p.oid, p.prosrc, l.lanname
	from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
	where p.oid >= ${OWN_OID_MIN} and l.lanname not in ('internal', 'c')`
/** Words in a function body that may define an object or execute a string that defines one. */
const DEFINING = '[[:<:]](create|alter|import|execute|do(?![[:space:]]+(nothing|update)))[[:>:]]'
/**
 * Domains with a check constraint, and types that contain such a domain, including table and array types.
 * Before Postgres 14, there are no multirange types.
 */
const CHECKED = `select contypid from pg_catalog.pg_constraint
		where contypid >= ${OWN_OID_MIN} and contype = 'c'
	union
	select t.oid from checked c join pg_catalog.pg_type t on t.oid >= ${OWN_OID_MIN} and (
		c.oid in (t.typbasetype, t.typelem)
		or exists (
			select from pg_catalog.pg_attribute a
			where a.attrelid = t.typrelid and a.atttypid = c.oid and a.attnum > 0)
		or exists (
			select from pg_catalog.pg_range r
			where r.rngsubtype = c.oid
				and t.oid::text in (r.rngtypid::text, pg_catalog.to_jsonb(r)->>'rngmultitypid')))`
const SUSPECTS = `with recursive checked (oid) as (${CHECKED}), routines as (${ROUTINES})
	select 'name', proname from pg_catalog.pg_proc where oid >= ${OWN_OID_MIN}
	union select 'name', relname from pg_catalog.pg_class
		where oid >= ${OWN_OID_MIN} and (relkind in ('v', 'f') or relhasrules or relrowsecurity)
	union select 'name', typname from pg_catalog.pg_type where oid in (select oid from checked)
	union select 'everywhere', '' from routines r where
		exists (select from pg_catalog.pg_operator o where o.oprcode = r.oid)
		or exists (select from pg_catalog.pg_cast c where c.castfunc = r.oid)
		or exists (select from pg_catalog.pg_amproc a where a.amproc = r.oid)
	union select 'defining', '' from routines
		where lanname not in ('sql', 'plpgsql') or prosrc ~* '${DEFINING}'`

/** Adds the suspect names from the target. If the names cannot be read, everything is suspect. */
export async function addSuspectsOf(connection: TargetConnection, suspects: Suspects): Promise<void> {
	let functionsMayDefine = false
	const { data, isLost } = await connection.ask({
		text: SUSPECTS,
		params: [],
		keep: ([what, name]) => {
			if (what === 'everywhere') suspects.areEverywhere = true
			else if (what === 'defining') functionsMayDefine = true
			else if (name != null) suspects.add(name)
		},
	})
	suspects.functionsMayDefine = functionsMayDefine
	if (isLost || data?.error !== undefined) suspects.areEverywhere = true
}
