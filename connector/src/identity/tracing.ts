import {
  SpanKind,
  SpanStatusCode,
  context,
  metrics,
  propagation,
  trace,
  type Span,
  type TextMapGetter,
} from '@opentelemetry/api';
import type { Http2Bindings, HttpBindings } from '@hono/node-server';

const tracer = () => trace.getTracer('@foedus/connector');

const headerGetter: TextMapGetter<Headers> = {
  get: (headers, key) => headers.get(key) ?? undefined,
  keys: (headers) => [...headers.keys()],
};

type Bindings = HttpBindings | Http2Bindings;
type Handler = (request: Request, env: Bindings) => Response | Promise<Response>;

/**
 * Continues the caller's trace (W3C trace context) in a span around each request, and measures its duration
 * (`http.server.request.duration`, seconds). The span ends with the response's headers, not with its body.
 */
export function traceServer(handler: Handler): (request: Request, env: Bindings) => Promise<Response> {
  const duration = metrics.getMeter('@foedus/connector').createHistogram('http.server.request.duration', {
    unit: 's',
    description: 'Duration of HTTP requests until their headers are answered',
    // OpenTelemetry's semantic conventions for HTTP metrics.
    advice: { explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] },
  });
  return (request, env) => {
    const started = performance.now();
    const parent = propagation.extract(context.active(), request.headers, headerGetter);
    const attributes = { 'http.request.method': request.method, 'url.path': pathOf(env.incoming.url) };
    return inSpan(request.method, SpanKind.SERVER, attributes, parent, async (span) => {
      const response = await handler(request, env);
      span.setAttribute('http.response.status_code', response.status);
      if (response.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      duration.record((performance.now() - started) / 1000, {
        'http.request.method': request.method,
        'http.response.status_code': response.status,
      });
      return response;
    });
  };
}

/** The path of a request target (RFC 9112, section 3.2), without the query. */
function pathOf(target = '/'): string {
  const path = target.startsWith('/') ? target : (URL.parse(target)?.pathname ?? '/');
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

/** Sends a request in a span of its own, after its W3C trace context was set as headers. */
export function traceClient<T extends { readonly status: number }>(
  method: string,
  url: URL,
  setHeader: (name: string, value: string) => void,
  send: () => Promise<T>,
): Promise<T> {
  const attributes = {
    'http.request.method': method,
    'server.address': url.hostname,
    'server.port': Number(url.port || 443),
    'url.path': url.pathname,
  };
  return inSpan(method, SpanKind.CLIENT, attributes, context.active(), async (span) => {
    propagation.inject(context.active(), undefined, { set: (_carrier, name, value) => setHeader(name, value) });
    const response = await send();
    span.setAttribute('http.response.status_code', response.status);
    if (response.status >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
    return response;
  });
}

function inSpan<T>(
  name: string,
  kind: SpanKind,
  attributes: Record<string, string | number>,
  parent: ReturnType<typeof context.active>,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  return tracer().startActiveSpan(name, { kind, attributes }, parent, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      span.recordException(error as Error);
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
      throw error;
    } finally {
      span.end();
    }
  });
}
