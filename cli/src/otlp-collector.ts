import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ExportedSpan {
  /** Attribute `foedus.participant.id` of the exporting program. */
  readonly participantId: string | undefined;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly name: string;
  readonly attributes: Attribute[];
}

export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly spans: ExportedSpan[];
  readonly metricNames: Set<string>;
  /** The resource attributes of each export of spans. */
  readonly resources: Attribute[][];
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number };
}

/** A collector for tests: takes OTLP over HTTP with JSON, as the specification has it, and keeps what comes. */
export async function collector(): Promise<Collector> {
  const spans: ExportedSpan[] = [];
  const metricNames = new Set<string>();
  const resources: Attribute[][] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as {
        resourceSpans?: { resource: { attributes: Attribute[] }; scopeSpans: { spans: ExportedSpan[] }[] }[];
        resourceMetrics?: { scopeMetrics: { metrics: { name: string }[] }[] }[];
      };
      for (const { resource, scopeSpans } of body.resourceSpans ?? []) {
        resources.push(resource.attributes);
        const participantId = resource.attributes.find(({ key }) => key === 'foedus.participant.id')?.value.stringValue;
        spans.push(...scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ ...span, participantId }))));
      }
      for (const { scopeMetrics } of body.resourceMetrics ?? []) {
        for (const { metrics } of scopeMetrics) for (const { name } of metrics) metricNames.add(name);
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { spans, metricNames, resources, url, [Symbol.asyncDispose]: async () => void server.close() };
}
