/** OpenTelemetry's SDK, and the only place that knows it: everything else speaks the API. Loaded when something is exported. */
import { metrics, trace, type Attributes } from '@opentelemetry/api';
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
import type { Environment, Exports } from './telemetry.ts';

/** @returns ends everything, and sends what is not sent yet */
export async function startSdk(
  attributes: Attributes,
  { traces, metrics: metricsTo, sampler }: Exports,
  env: Environment,
): Promise<() => Promise<void>> {
  const resource = defaultResource()
    .merge(detectResources({ detectors: [envDetector] }))
    .merge(resourceFromAttributes(attributes));
  const spanProcessors = await spanProcessorsOf(traces, env);
  const tracers = new TracerProvider({ resource, sampler: samplerOf(sampler, env), spanProcessors });
  if (spanProcessors.length > 0) trace.setGlobalTracerProvider(tracers);
  const readers = await metricReaders(metricsTo, env);
  const meters = new MeterProvider({ resource, readers });
  if (readers.length > 0) metrics.setGlobalMeterProvider(meters);
  return async () => {
    await Promise.allSettled([tracers.shutdown(), meters.shutdown()]);
  };
}

async function spanProcessorsOf(to: Exports['traces'], env: Environment): Promise<SpanProcessor[]> {
  if (to === 'none') return [];
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

async function metricReaders(to: Exports['metrics'], env: Environment): Promise<IMetricReader[]> {
  if (to === 'none') return [];
  if (to === 'prometheus') {
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

function samplerOf({ root, parentBased }: Exports['sampler'], env: Environment): Sampler {
  const ratio = Number(env.OTEL_TRACES_SAMPLER_ARG ?? 1);
  const make = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(Number.isFinite(ratio) ? ratio : 1),
  }[root];
  return parentBased ? new ParentBasedSampler({ root: make() }) : make();
}

/** @returns the whole number in a variable; what is no number is ignored, as the specification wants it */
function milliseconds(env: Environment, name: string, otherwise: number): number {
  const value = Number(env[name]);
  return env[name] && Number.isInteger(value) && value >= 0 ? value : otherwise;
}
