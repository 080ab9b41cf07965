/** The programs of a node: what each one is configured by and started with. */
import { loadConfig } from '@foedus/connector/config';
import { flushCompileCache } from 'node:module';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { createLogger } from './logger.ts';
import { startTelemetry } from './telemetry.ts';

interface Program<S extends z.ZodObject> {
  readonly schema: S;
  start(config: z.output<S>, environment: { logger: Logger }): Promise<AsyncDisposable>;
}

const define = <S extends z.ZodObject>(program: Program<S>): Program<S> => program;

/** Loaded when asked for: the other programs' code stays on disk. */
export const programs = {
  connector: async () => {
    const { connectorConfigSchema } = await import('@foedus/connector/config');
    return define({
      schema: connectorConfigSchema,
      start: async (config, environment) => {
        const { startConnector } = await import('@foedus/connector');
        return await startConnector(config, environment);
      },
    });
  },
  coordinator: async () => {
    const { coordinatorConfigSchema, startCoordinator } = await import('@foedus/fl-coordinator');
    return define({ schema: coordinatorConfigSchema, start: startCoordinator });
  },
  client: async () => {
    const { clientConfigSchema, startClient } = await import('@foedus/fl-client');
    return define({ schema: clientConfigSchema, start: startClient });
  },
} as const;

export type ProgramName = keyof typeof programs;
export const programNames = Object.keys(programs) as ProgramName[];

/**
 * Runs a program until SIGINT or SIGTERM ends it (a second one ends it at once).
 *
 * @throws FoedusError `bad-config` before anything is started
 */
export async function runProgram(name: ProgramName, configFile: string, env = process.env): Promise<void> {
  const program = (await programs[name]()) as Program<z.ZodObject>;
  const config = await loadConfig(program.schema, configFile, env);
  const { participantId } = config as { participantId: string };
  const logger = createLogger({ program: name, participantId }, env);
  await using _telemetry = await startTelemetry({ program: name, participantId, logger }, env);
  const asked = endSignal();
  process.on('uncaughtException', (error) => die(logger, error));
  process.on('unhandledRejection', (error) => die(logger, error));
  {
    await using _running = await program.start(config, { logger });
    logger.info({ config: configFile, pid: process.pid }, `${name} of ${participantId} runs`);
    // Not at the end, as Node does by itself: a program that is killed has no end.
    setTimeout(flushCompileCache, 10_000).unref();
    logger.info({ signal: await asked }, 'ending');
  }
  logger.info('ended');
}

/** Also ends what was started with a channel to its starter (child_process.fork) when the starter is gone. */
function endSignal(): Promise<NodeJS.Signals | 'disconnect'> {
  return new Promise((resolve) => {
    let asked = false;
    process.once('disconnect', () => resolve('disconnect'));
    process.channel?.unref();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(1);
        asked = true;
        resolve(signal);
      });
    }
  });
}

/** What nobody expected leaves unknown state behind: the store is made for a crash, a half-alive program is not. */
function die(logger: Logger, error: unknown): never {
  logger.fatal({ err: error }, 'failed unexpectedly');
  process.exit(1);
}
