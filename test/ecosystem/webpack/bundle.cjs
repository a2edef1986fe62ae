const { basename, dirname } = require('node:path')
const webpack = require('webpack')

const [, , output] = process.argv
const config = {
	mode: 'production',
	target: 'node20',
	context: __dirname,
	entry: './main.js',
	output: { path: dirname(output), filename: basename(output) },
	performance: false,
}
webpack(config, (error, stats) => {
	const text = error ?? (stats.hasErrors() || stats.hasWarnings() ? stats.toString() : undefined)
	if (text === undefined) return
	console.error(text)
	process.exitCode = 1
})
