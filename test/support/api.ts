/** Finds the public names of the package, as TypeScript sees them in src/. */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import ts from 'typescript'
import { ROOT } from './process.ts'

export interface PublicName {
	/** Module that a user imports it from, such as `mesh-chain/recorder`. */
	readonly entry: string
	readonly name: string
	/** Path of its declaration. */
	readonly path: string
	readonly isDocumented: boolean
	/** Members of an interface or an object type. */
	readonly members: readonly { readonly name: string; readonly isDocumented: boolean }[]
}

/** Returns every name that an entry of package.json exports. */
export function publicNames(): PublicName[] {
	const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
		exports: Record<string, unknown>
	}
	const entries = Object.keys(exports)
		.filter((entry) => !entry.endsWith('.json'))
		.map((entry) => ({ entry: join('mesh-chain', entry), path: join(ROOT, 'src', entry, 'index.ts') }))
	const program = ts.createProgram(
		entries.map(({ path }) => path),
		{
			module: ts.ModuleKind.NodeNext,
			target: ts.ScriptTarget.ES2023,
			strict: true,
			allowImportingTsExtensions: true,
			noEmit: true,
			skipLibCheck: true,
			types: ['node'],
		},
	)
	const checker = program.getTypeChecker()
	return entries.flatMap(({ entry, path }) => {
		const file = program.getSourceFile(path)
		const symbol = file && checker.getSymbolAtLocation(file)
		if (symbol === undefined) throw new Error(`${path} exports nothing`)
		return checker
			.getExportsOfModule(symbol)
			.map((exported) => publicName(checker, entry, exported))
			.toSorted((a, b) => a.name.localeCompare(b.name))
	})
}

function publicName(checker: ts.TypeChecker, entry: string, exported: ts.Symbol): PublicName {
	const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0
	const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported
	const [declaration] = symbol.declarations ?? []
	const members = declaration !== undefined && isObjectType(declaration) ? membersOf(checker, symbol) : []
	return {
		entry,
		name: exported.name,
		path: declaration === undefined ? '' : relative(ROOT, declaration.getSourceFile().fileName),
		isDocumented: isDocumented(checker, symbol),
		members,
	}
}

function isObjectType(declaration: ts.Declaration): boolean {
	return ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration)
}

/** Returns members declared in src/, without those inherited from elsewhere. */
function membersOf(checker: ts.TypeChecker, symbol: ts.Symbol): PublicName['members'] {
	return checker
		.getDeclaredTypeOfSymbol(symbol)
		.getProperties()
		.filter(({ declarations }) =>
			declarations?.some((each) => each.getSourceFile().fileName.startsWith(join(ROOT, 'src'))),
		)
		.map((member) => ({ name: member.name, isDocumented: isDocumented(checker, member) }))
}

function isDocumented(checker: ts.TypeChecker, symbol: ts.Symbol): boolean {
	return ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim() !== ''
}
