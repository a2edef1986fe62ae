/** Checks that the docs refer to existing code: files of src/, and names in the style of JavaScript. */
import { expect, test } from 'vitest'
import { documents } from './documents.ts'

/** Names of JavaScript, Kubernetes and NATS. */
const FOREIGN = [
	'hasOwnProperty',
	'isPrototypeOf',
	'propertyIsEnumerable',
	'toLocaleString',
	'processClusteredInboundMsg',
	'terminationGracePeriodSeconds',
]

const sources = documents(/^(?:src|test|bench|examples)\/.*\.m?[jt]s$/)
const docs = documents(/^docs\/(?!reference\/(?:api\/|cli\.md)).*\.md$/).map(({ path, text }) => ({
	path,
	codes: [...text.replaceAll(/^ *```[\s\S]*?^ *```/gm, '').matchAll(/`([^`\n]+)`/g)].map(
		([, code = '']) => code,
	),
}))

test('the docs mention only existing source files', () => {
	const missing = docs.flatMap(({ path, codes }) =>
		codes
			.filter((code) => /^[\w/-]+\.ts$/.test(code))
			.filter((code) => !sources.some((source) => source.path.endsWith(`/${code}`) || source.path === code))
			.map((code) => `${path}: ${code}`),
	)
	expect(missing).toEqual([])
})

test('the docs mention only existing options, methods and fields', () => {
	const known = new Set(sources.flatMap(({ text }) => text.match(/[A-Za-z_]\w*/g) ?? []))
	const unknown = docs.flatMap(({ path, codes }) =>
		codes
			.flatMap((code) => code.match(/\b[a-z]+(?:[A-Z]\w*)+\b/g) ?? [])
			.filter((name) => !known.has(name) && !FOREIGN.includes(name))
			.map((name) => `${path}: ${name}`),
	)
	expect(unknown).toEqual([])
})

test('the docs mention only existing options of the program', () => {
	const known = new Set(
		sources.flatMap(({ text }) => [...text.matchAll(/\blong: '([\w-]+)'/g)].map(([, name]) => name)),
	)
	const unknown = docs.flatMap(({ path, codes }) =>
		codes
			.filter((code) => !/^(?:node|npm|npx vitest|git) /.test(code))
			.flatMap((code) => code.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? [])
			.filter((option) => !known.has(option.slice(2)) && !['--help', '--version', '--init'].includes(option))
			.map((option) => `${path}: ${option}`),
	)
	expect(unknown).toEqual([])
})
