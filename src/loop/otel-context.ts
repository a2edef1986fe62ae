/**
 * A ready-made `context` hook: the ids of the active OpenTelemetry span. Does not import OpenTelemetry. A
 * program that uses it has registered it under a global symbol, which is the same for every version 1 of its
 * API.
 */
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { methodOf, propertyOf } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import type { ScopeFields } from './options.ts'

/** The part of `@opentelemetry/api` that {@link otelContext} calls. */
export interface OtelContextApi {
	/** Returns the active span. */
	getActiveSpan(): { spanContext(): { readonly traceId: string; readonly spanId: string } } | undefined
}

const GLOBAL_API = Symbol.for('opentelemetry.js.api.1')
const SPAN_KEY = Symbol.for('OpenTelemetry Context Key SPAN')
/** An id consists of these digits. An id of zeros only is not valid. */
const TRACE_ID = /^(?!0+$)[\da-f]{32}$/
const SPAN_ID = /^(?!0+$)[\da-f]{16}$/

/**
 * Returns a `context` hook that adds `traceId` and `spanId` of the active span to the data of each line. Adds
 * nothing if there is no active span, or if its ids are not valid.
 *
 * @param api `trace` from `@opentelemetry/api`, or the whole module. Default: the API that the process has
 * registered, which need not exist.
 * @throws {MeshChainError} `INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { BufferingAppender, MeshLoop, otelContext } from 'mesh-chain'
 *
 * const loop = new MeshLoop(new BufferingAppender(), { context: otelContext() })
 * loop.info('outside any span')
 * ```
 */
export function otelContext(
	api?: OtelContextApi | { readonly trace: OtelContextApi },
): () => ScopeFields | undefined {
	const activeSpan = api === undefined ? registeredSpan : givenSpan(api)
	return () => {
		const span = activeSpan() ?? {}
		discard(span)
		const context = methodOf(span, 'spanContext')?.()
		discard(context)
		const [traceId, spanId] = [propertyOf(context, 'traceId'), propertyOf(context, 'spanId')]
		if (typeof traceId !== 'string' || typeof spanId !== 'string') return undefined
		return TRACE_ID.test(traceId) && SPAN_ID.test(spanId) ? { data: { traceId, spanId } } : undefined
	}
}

function givenSpan(api: object): () => unknown {
	const trace = propertyOf(api, 'trace') ?? api
	if (typeof propertyOf(trace, 'getActiveSpan') === 'function') {
		return () => methodOf(trace, 'getActiveSpan')?.()
	}
	throw new MeshChainError(
		'INVALID_OPTION',
		`otelContext needs the trace API of @opentelemetry/api, not ${show(api)}`,
	)
}

function registeredSpan(): unknown {
	const manager = propertyOf(propertyOf(globalThis, GLOBAL_API), 'context')
	if (manager === undefined) return undefined
	const active = methodOf(manager, 'active')?.()
	discard(active)
	return methodOf(active ?? {}, 'getValue')?.(SPAN_KEY)
}
