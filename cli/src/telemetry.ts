/**
 * Sets up OpenTelemetry: everything else speaks its API.
 *
 * Nothing leaves this process unless the standard variables ask for it. Trace ids are made and passed on always, so
 * that the logs of two connectors can be read together.
 */
import { context, diag, metrics, propagation, trace, type Attributes } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { FoedusError } from '@foedus/connector/errors';
import type { Logger } from 'pino';
import { createTraceIds } from './trace-ids.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where telemetry goes, and which traces are sampled. */
export interface Exports {
  readonly traces: 'otlp' | 'none';
  readonly metrics: 'otlp' | 'prometheus' | 'none';
  readonly sampler: { readonly root: (typeof SAMPLERS)[number]; readonly parentBased: boolean };
}

const SAMPLERS = ['always_on', 'always_off', 'traceidratio'] as const;

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
  const to = exportsOf(env);
  let shutdown = async (): Promise<void> => undefined;
  if (to.traces === 'none') {
    trace.setGlobalTracerProvider(createTraceIds({ sampled: to.sampler.root !== 'always_off' }));
  }
  if (to.traces !== 'none' || to.metrics !== 'none') {
    const { startSdk } = await import('./telemetry-sdk.ts');
    shutdown = await startSdk(attributes, to, env);
  }

  return {
    [Symbol.asyncDispose]: async () => {
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([shutdown(), new Promise((resolve) => (timer = setTimeout(resolve, 2_000)))]);
      clearTimeout(timer);
      for (const api of [trace, metrics, propagation, context, diag]) api.disable();
    },
  };
}

/** @throws FoedusError `bad-config` */
function exportsOf(env: Environment): Exports {
  const traces = exporterOf(env, 'TRACES', ['otlp', 'none']);
  const metricsTo = exporterOf(env, 'METRICS', ['otlp', 'prometheus', 'none']);
  const name = env.OTEL_TRACES_SAMPLER || 'parentbased_always_on';
  const rootName = name.replace(/^parentbased_/, '');
  const root = SAMPLERS.find((sampler) => sampler === rootName);
  if (root === undefined) {
    throw new FoedusError(
      'bad-config',
      `OTEL_TRACES_SAMPLER: "${name}" is not known here. It is one of ${SAMPLERS.join(', ')}, each also with parentbased_ before it.`,
    );
  }
  const sampler = { root, parentBased: rootName !== name };
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return { traces: 'none', metrics: 'none', sampler };
  return { traces, metrics: metricsTo, sampler };
}

function exporterOf<Known extends string>(
  env: Environment,
  signal: 'TRACES' | 'METRICS',
  known: readonly (Known | 'otlp' | 'none')[],
): Known | 'otlp' | 'none' {
  const name = `OTEL_${signal}_EXPORTER`;
  const asked = env[name]?.trim();
  if (!asked) {
    const endpoint = env.OTEL_EXPORTER_OTLP_ENDPOINT || env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`];
    return endpoint ? 'otlp' : 'none';
  }
  const found = known.find((exporterName) => exporterName === asked);
  if (found !== undefined) return found;
  throw new FoedusError('bad-config', `${name}: "${asked}" is not known here. It is one of ${known.join(', ')}.`);
}

function diagLogger(logger: Logger): Parameters<typeof diag.setLogger>[0] {
  const tell = (level: 'error' | 'warn' | 'debug') => (message: string) =>
    logger[level]({ from: 'telemetry' }, message);
  // A collector that is down is no fault of this program.
  return { error: tell('warn'), warn: tell('warn'), info: tell('debug'), debug: tell('debug'), verbose: tell('debug') };
}
