import { context, propagation, trace } from '@opentelemetry/api';
import { createAuthority, issueParticipant } from '@foedus/certs';
import { createPeerClient, loadIdentity, servePeers, type Identity } from '@foedus/connector/identity';
import { Hono } from 'hono';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from './logger.ts';
import { collector } from './otlp-collector.ts';
import { startTelemetry } from './telemetry.ts';
import { createTraceIds } from './trace-ids.ts';

const BDL = 'did:web:bdl.example';
const PVD = 'did:web:pvd.example';
let root: string;
let bdl: Identity;
let pvd: Identity;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foedus-telemetry-'));
  const authority = await createAuthority({ directory: join(root, 'ca'), name: 'Test data space' });
  const identity = async (participantId: string, name: string): Promise<Identity> => {
    const directory = join(root, name);
    await issueParticipant(authority, { participantId, directory });
    return await loadIdentity(participantId, {
      tlsKey: join(directory, 'tls.key'),
      tlsCertificate: join(directory, 'tls.crt'),
      signingKey: join(directory, 'signing.key'),
      signingCertificate: join(directory, 'signing.crt'),
      trustAnchors: join(directory, 'ca.crt'),
    });
  };
  bdl = await identity(BDL, 'bdl');
  pvd = await identity(PVD, 'pvd');
});
afterAll(() => rm(root, { recursive: true, force: true }));

const savedEnvironment = { ...process.env };
afterEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name];
  Object.assign(process.env, savedEnvironment);
});
/** The exporters read OTEL_EXPORTER_OTLP_* from the process themselves. */
const environment = (variables: Record<string, string>) => Object.assign(process.env, variables);

/** A peer that answers with the log line it wrote, and one that asks it. */
async function callBetweenPeers(): Promise<Record<string, unknown>> {
  const lines: string[] = [];
  const logger = createLogger({ program: 'test' }, {}, { write: (line) => void lines.push(line) });
  const app = new Hono().get('/hello', (c) => {
    logger.info({ token: 's3cret' }, 'asked');
    return c.text('hello');
  });
  await using server = await servePeers({ identity: bdl, host: '127.0.0.1', port: 0, app });
  await using client = createPeerClient(pvd);
  await (await client.fetch(`${server.url}/hello?secret=1`, { expect: BDL })).text();
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

describe('telemetry', () => {
  it("shows both ends of a call between participants in one trace, when OTLP's endpoint is set", async () => {
    await using otlp = await collector();
    environment({ OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url, OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test' });
    const telemetry = await startTelemetry({ program: 'connector', participantId: BDL }, process.env);
    const line = await callBetweenPeers();
    await telemetry[Symbol.asyncDispose]();
    expect(otlp.spans).toHaveLength(2);
    const client = otlp.spans.find(({ kind }) => kind === 3)!;
    const server = otlp.spans.find(({ kind }) => kind === 2)!;
    expect(server.traceId).toBe(client.traceId);
    expect(server.parentSpanId).toBe(client.spanId);
    expect(line).toMatchObject({ trace_id: server.traceId, span_id: server.spanId });
    const attributes = Object.fromEntries(server.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
    expect(attributes).toEqual({
      'http.request.method': 'GET',
      'url.path': '/hello',
      'http.response.status_code': 200,
    });
    const resource = Object.fromEntries(otlp.resources[0]!.map(({ key, value }) => [key, value.stringValue]));
    expect(resource).toMatchObject({
      'service.name': 'foedus-connector',
      'foedus.participant.id': BDL,
      'deployment.environment': 'test',
    });
    expect([...otlp.metricNames]).toEqual(['http.server.request.duration']);
  });

  it('exports nothing without being asked, but makes trace ids and passes them on', async () => {
    const telemetry = await startTelemetry({ program: 'connector' }, {});
    const line = await trace.getTracer('test').startActiveSpan('outer', async (span) => {
      const written = await callBetweenPeers();
      span.end();
      expect(written.trace_id).toBe(span.spanContext().traceId);
      return written;
    });
    expect(line.trace_id).toMatch(/^(?!0+$)[0-9a-f]{32}$/);
    await telemetry[Symbol.asyncDispose]();
  });

  it('makes spans that are nothing but ids: of the trace they belong to, recorded by whoever can', () => {
    const tracer = createTraceIds({ sampled: true }).getTracer('test');
    const outer = tracer.startSpan('outer');
    expect(outer.isRecording()).toBe(false);
    const { traceId, spanId, traceFlags } = outer.spanContext();
    expect([traceId, spanId, traceFlags]).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}$/),
      expect.stringMatching(/^[0-9a-f]{16}$/),
      1,
    ]);
    const inner = tracer.startSpan('inner', {}, trace.setSpan(context.active(), outer)).spanContext();
    expect(inner).toMatchObject({ traceId, traceFlags: 1 });
    expect(inner.spanId).not.toBe(spanId);
    expect(tracer.startSpan('other').spanContext().traceId).not.toBe(traceId);
    // Who began a trace decides whether it is recorded.
    const unsampled = trace.wrapSpanContext({ traceId, spanId, traceFlags: 0, isRemote: true });
    const after = tracer.startSpan('after', {}, trace.setSpan(context.active(), unsampled)).spanContext();
    expect([after.traceId, after.traceFlags]).toEqual([traceId, 0]);
  });

  it('exports nothing when it is disabled or set to none, whatever the endpoint', async () => {
    for (const variables of [
      { OTEL_SDK_DISABLED: 'true' },
      { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' },
      { OTEL_TRACES_SAMPLER: 'always_off', OTEL_METRICS_EXPORTER: 'none' },
    ]) {
      await using otlp = await collector();
      environment({ OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url, ...variables });
      const telemetry = await startTelemetry({ program: 'connector' }, process.env);
      await callBetweenPeers();
      await telemetry[Symbol.asyncDispose]();
      expect([otlp.spans, [...otlp.metricNames]]).toEqual([[], []]);
      for (const name of Object.keys(variables)) delete process.env[name];
    }
  });

  it('serves metrics to Prometheus when asked', async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const variables = { OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_PROMETHEUS_PORT: String(port) };
    const telemetry = await startTelemetry({ program: 'connector' }, variables);
    await callBetweenPeers();
    const text = await (await fetch(`http://localhost:${port}/metrics`)).text();
    expect(text).toMatch(/http_server_request_duration_bucket\{[^}]*status_code="200"[^}]*le="2.5"\} 1/);
    await expect(startTelemetry({ program: 'client' }, variables)).rejects.toMatchObject({ code: 'bad-config' });
    await telemetry[Symbol.asyncDispose]();
  });

  it('refuses exporters and samplers that it does not know', async () => {
    for (const variables of [
      { OTEL_TRACES_EXPORTER: 'zipkin' },
      { OTEL_METRICS_EXPORTER: 'console' },
      { OTEL_TRACES_SAMPLER: 'sometimes' },
    ]) {
      const started = startTelemetry({ program: 'connector' }, variables);
      await expect(started).rejects.toMatchObject({ code: 'bad-config', message: expect.stringContaining('one of') });
    }
  });

  it('ends in bounded time although the collector does not answer', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    environment({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` });
    const telemetry = await startTelemetry({ program: 'connector' }, process.env);
    trace.getTracer('test').startSpan('one').end();
    const started = performance.now();
    await telemetry[Symbol.asyncDispose]();
    expect(performance.now() - started).toBeLessThan(4_000);
    silent.closeAllConnections();
    silent.close();
  });

  it('leaves nothing behind when it has ended', async () => {
    const telemetry = await startTelemetry({ program: 'connector' }, {});
    await telemetry[Symbol.asyncDispose]();
    const carrier: Record<string, string> = {};
    propagation.inject(trace.setSpan(context.active(), trace.getTracer('test').startSpan('after')), carrier);
    expect(carrier).toEqual({});
  });
});

describe('a log', () => {
  it('hides secrets and says who wrote it', async () => {
    const lines: string[] = [];
    const base = { program: 'connector', participantId: BDL };
    const logger = createLogger(base, { LOG_LEVEL: 'debug' }, { write: (line) => void lines.push(line) });
    logger.debug({ headers: { authorization: 'Bearer x' }, token: 'y' }, 'called');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'debug',
      program: 'connector',
      participantId: BDL,
      headers: { authorization: '(hidden)' },
      token: '(hidden)',
      msg: 'called',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
  });
});
