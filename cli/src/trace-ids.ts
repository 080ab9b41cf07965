import {
  context,
  isSpanContextValid,
  trace,
  TraceFlags,
  type Context,
  type Span,
  type SpanOptions,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import { randomFillSync } from 'node:crypto';

/**
 * Traces of which nobody sees more than their ids: they go into logs and to other participants, who may record their
 * own part. Spans keep nothing else, since it would be thrown away.
 *
 * @param sampled whether traces that begin here are to be recorded by who can (W3C trace context, flag `sampled`)
 */
export function createTraceIds({ sampled }: { sampled: boolean }): TracerProvider {
  const id = createIds();
  const startSpan = (_name: string, { root = false }: SpanOptions = {}, from: Context = context.active()): Span => {
    const parent = root ? undefined : trace.getSpanContext(from);
    const spanId = id(8);
    if (parent && isSpanContextValid(parent)) return trace.wrapSpanContext({ ...parent, spanId, isRemote: false });
    const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
    return trace.wrapSpanContext({ traceId: id(16), spanId, traceFlags });
  };
  type Work = (span: Span) => unknown;
  const startActiveSpan = (name: string, ...rest: [...(SpanOptions | Context)[], Work]): unknown => {
    const work = rest.at(-1) as Work;
    const options = rest.length > 1 ? (rest[0] as SpanOptions) : {};
    const from = rest.length > 2 ? (rest[1] as Context) : context.active();
    const span = startSpan(name, options, from);
    return context.with(trace.setSpan(from, span), work, undefined, span);
  };
  const tracer: Tracer = { startSpan, startActiveSpan };
  return { getTracer: () => tracer };
}

/** Random numbers of some bytes in hex, drawn many at a time: asking the system for each costs more than the rest. */
function createIds(): (bytes: number) => string {
  const pool = Buffer.alloc(4_096);
  let used = pool.length;
  return (bytes) => {
    if (used + bytes > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    used += bytes;
    return pool.toString('hex', used - bytes, used);
  };
}
