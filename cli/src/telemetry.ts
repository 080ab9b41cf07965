/**
 * OpenTelemetry's SDK, and the only place that knows it: everything else speaks the API.
 *
 * Nothing leaves this process unless the standard variables ask for it. Trace ids are made and passed on always, so
 * that the logs of two connectors can be read together.
 */
import { context, diag, metrics, propagation, trace, type Attributes } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader, type IMetricReader } from '@opentelemetry/sdk-metrics';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import { FoedusError } from '@foedus/connector/errors';
import type { Logger } from 'pino';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Installs the context manager, the W3C propagators and the exporters that `env` asks for (OpenTelemetry's
 * specification, "Environment Variable Specification"):
 *
 * - `OTEL_TRACES_EXPORTER`: `otlp` or `none`; `OTEL_METRICS_EXPORTER`: `otlp`, `prometheus` or `none`
 * - without them, `OTEL_EXPORTER_OTLP_ENDPOINT` (or the one for traces or metrics) means `otlp`, and nothing means none
 * - `OTEL_SDK_DISABLED`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and its `_ARG`,
 *   `OTEL_BSP_*`, `OTEL_METRIC_EXPORT_INTERVAL` and `_TIMEOUT`, `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT`, and
 *   everything of `OTEL_EXPORTER_OTLP_*` that OTLP over HTTP with JSON knows
 *
 * @returns disposing it sends what is not sent yet (waiting at most two seconds)
 * @throws FoedusError `bad-config` for an exporter or a sampler that is not known here
 */
export async function startTelemetry(
  { program, participantId, logger }: { program: string; participantId?: string; logger?: Logger },
  env: Environment,
): Promise<AsyncDisposable> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  if (logger) diag.setLogger(diagLogger(logger), { suppressOverrideMessage: true });

  const attributes: Attributes = {
    'service.name': env.OTEL_SERVICE_NAME ?? `foedus-${program}`,
    ...(participantId === undefined ? {} : { 'foedus.participant.id': participantId }),
  };
  const resource = defaultResource()
    .merge(detectResources({ detectors: [envDetector] }))
    .merge(resourceFromAttributes(attributes));
  const disabled = env.OTEL_SDK_DISABLED?.toLowerCase() === 'true';
  const processors = disabled ? [] : await spanProcessors(env);
  const traces = new TracerProvider({ resource, sampler: samplerOf(env), spanProcessors: processors });
  trace.setGlobalTracerProvider(traces);
  const readers = disabled ? [] : await metricReaders(env);
  const meters = new MeterProvider({ resource, readers });
  if (readers.length > 0) metrics.setGlobalMeterProvider(meters);

  return {
    [Symbol.asyncDispose]: async () => {
      const ended = Promise.allSettled([traces.shutdown(), meters.shutdown()]);
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([ended, new Promise((resolve) => (timer = setTimeout(resolve, 2_000)))]);
      clearTimeout(timer);
      for (const api of [trace, metrics, propagation, context, diag]) api.disable();
    },
  };
}

function exporterOf(env: Environment, signal: 'TRACES' | 'METRICS', known: readonly string[]): string {
  const name = `OTEL_${signal}_EXPORTER`;
  const asked = env[name]?.trim();
  if (!asked) {
    const endpoint = env.OTEL_EXPORTER_OTLP_ENDPOINT || env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`];
    return endpoint ? 'otlp' : 'none';
  }
  if (known.includes(asked)) return asked;
  throw new FoedusError('bad-config', `${name}: "${asked}" is not known here. It is one of ${known.join(', ')}.`);
}

async function spanProcessors(env: Environment): Promise<SpanProcessor[]> {
  if (exporterOf(env, 'TRACES', ['otlp', 'none']) === 'none') return [];
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  return [
    new BatchSpanProcessor({
      exporter: new OTLPTraceExporter(),
      scheduledDelayMillis: milliseconds(env, 'OTEL_BSP_SCHEDULE_DELAY', 5_000),
      exportTimeoutMillis: milliseconds(env, 'OTEL_BSP_EXPORT_TIMEOUT', 30_000),
      maxQueueSize: milliseconds(env, 'OTEL_BSP_MAX_QUEUE_SIZE', 2_048),
      maxExportBatchSize: milliseconds(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
    }),
  ];
}

async function metricReaders(env: Environment): Promise<IMetricReader[]> {
  const exporter = exporterOf(env, 'METRICS', ['otlp', 'prometheus', 'none']);
  if (exporter === 'none') return [];
  if (exporter === 'prometheus') {
    const { PrometheusExporter } = await import('@opentelemetry/exporter-prometheus');
    const host = env.OTEL_EXPORTER_PROMETHEUS_HOST ?? 'localhost';
    const port = milliseconds(env, 'OTEL_EXPORTER_PROMETHEUS_PORT', 9_464);
    const reader = new PrometheusExporter({ host, port, preventServerStart: true });
    try {
      await reader.startServer();
    } catch (cause) {
      throw new FoedusError(
        'bad-config',
        `OTEL_EXPORTER_PROMETHEUS_PORT: ${host}, port ${port} cannot be listened on. Give each program a port of its own.`,
        { cause },
      );
    }
    return [reader];
  }
  const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-http');
  const interval = milliseconds(env, 'OTEL_METRIC_EXPORT_INTERVAL', 60_000);
  return [
    new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter(),
      exportIntervalMillis: interval,
      exportTimeoutMillis: Math.min(interval, milliseconds(env, 'OTEL_METRIC_EXPORT_TIMEOUT', 30_000)),
    }),
  ];
}

function samplerOf(env: Environment): Sampler {
  const name = env.OTEL_TRACES_SAMPLER || 'parentbased_always_on';
  const root = name.replace(/^parentbased_/, '');
  const ratio = Number(env.OTEL_TRACES_SAMPLER_ARG ?? 1);
  const samplers: Record<string, () => Sampler> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(Number.isFinite(ratio) ? ratio : 1),
  };
  const make = samplers[root];
  if (!make) {
    throw new FoedusError(
      'bad-config',
      `OTEL_TRACES_SAMPLER: "${name}" is not known here. It is one of ${Object.keys(samplers).join(', ')}, each also with parentbased_ before it.`,
    );
  }
  return root === name ? make() : new ParentBasedSampler({ root: make() });
}

/** @returns the whole number in a variable; what is no number is ignored, as the specification wants it */
function milliseconds(env: Environment, name: string, otherwise: number): number {
  const value = Number(env[name]);
  return env[name] && Number.isInteger(value) && value >= 0 ? value : otherwise;
}

function diagLogger(logger: Logger): Parameters<typeof diag.setLogger>[0] {
  const tell = (level: 'error' | 'warn' | 'debug') => (message: string) =>
    logger[level]({ from: 'telemetry' }, message);
  // A collector that is down is no fault of this program.
  return { error: tell('warn'), warn: tell('warn'), info: tell('debug'), debug: tell('debug'), verbose: tell('debug') };
}
