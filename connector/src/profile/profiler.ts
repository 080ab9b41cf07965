import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { FOEDUS } from '@foedus/usage-policies';
import type { Measured } from '../data-plane/scan/measure.ts';
import { FoedusError } from '../errors.ts';
import type { Asset } from '../management/model.ts';
import type { Changes } from '../protocol/changes.ts';
import type { Database } from '../store/database.ts';
import type { AssetProfile, AssetSchema, ColumnProfile } from './model.ts';
import { findPersonalData } from './personal-data.ts';
import type { SchemaPins } from './schema-pins.ts';

/**
 * Looks at data sets after they have been published, one at a time, in the background; what had not been looked at
 * when the node stopped is looked at after the next start.
 */
export interface Profiler extends AsyncDisposable {
  /** There is something new to look at. */
  published(): void;
  /** The profile as far as there is one. @throws FoedusError `not-found` */
  get(assetId: string): AssetProfile;
  /** Looks at it now, or again. @throws FoedusError `not-found` */
  again(assetId: string): AssetProfile;
  /** Does not wait any longer before it begins. */
  hurry(): void;
  /** The schema as pinned, compared with what is there. @throws FoedusError `not-found`, `unavailable` */
  schema(assetId: string): Promise<AssetSchema>;
  /** Pins the schema that is there. @throws FoedusError `not-found`, `unavailable` */
  repin(assetId: string): Promise<AssetSchema>;
}

export interface ProfilerOptions {
  readonly database: Database;
  readonly assets: { get(id: string): Asset | undefined };
  readonly pins: SchemaPins;
  readonly changes: Changes;
  readonly dataDir: string;
  readonly clock: () => Date;
  readonly logger: Logger;
}

/** Topic of `Changes` for the profile of one data set. */
export const profileTopic = (assetId: string): string => `profile:${assetId}`;

/** What is published is often followed by more: the engine is loaded when that is over. */
const PAUSE_MS = 2_000;
/** How long a stop waits for a look that is under way. */
const STOP_MS = 2_000;

export function createProfiler(options: ProfilerOptions): Profiler {
  const { database, assets, pins, changes, dataDir, clock, logger } = options;
  const { sql } = database;
  const read = sql.prepare('SELECT state, body, updated_at AS updatedAt FROM asset_profile WHERE asset_id = ?');
  const waiting = sql.prepare(
    `SELECT asset_id AS id FROM asset_profile WHERE state IN ('waiting', 'running') ORDER BY updated_at LIMIT 1`,
  );
  const ask = sql.prepare(
    `INSERT INTO asset_profile (asset_id, state, updated_at) VALUES (?, 'waiting', ?)
     ON CONFLICT (asset_id) DO UPDATE SET state = 'waiting', updated_at = excluded.updated_at`,
  );
  // Of a data set that has been published again meanwhile, another look decides.
  const begin = sql.prepare(`UPDATE asset_profile SET state = 'running', updated_at = ? WHERE asset_id = ?`);
  const finish = sql.prepare(
    `UPDATE asset_profile SET state = ?, body = ?, updated_at = ? WHERE asset_id = ? AND state = 'running'`,
  );
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> | undefined;

  const existing = (assetId: string): Asset => {
    const asset = assets.get(assetId);
    if (asset !== undefined) return asset;
    throw new FoedusError('not-found', `There is no asset ${assetId} here. foedus asset list shows them.`);
  };
  const now = (): string => clock().toISOString();
  const settle = (assetId: string, state: 'done' | 'failed', body: object): void => {
    finish.run(state, JSON.stringify(body), now(), assetId);
    changes.notify(profileTopic(assetId));
  };
  const withSource = async <T>(
    asset: Asset,
    work: Parameters<typeof import('./open-data-set.ts').withDataSet<T>>[2],
  ) => {
    const { withDataSet } = await import('./open-data-set.ts');
    return await withDataSet(asset, dataDir, work);
  };

  const look = async (asset: Asset): Promise<void> => {
    begin.run(now(), asset.id);
    changes.notify(profileTopic(asset.id));
    try {
      const measured = await withSource(asset, async (source) => {
        pins.compared(asset.id, source.columns);
        return await source.measure(stopping.signal);
      });
      settle(asset.id, 'done', profileOf(measured));
    } catch (error) {
      // It is looked at again after the next start.
      if (stopping.signal.aborted) return;
      const problem = error instanceof Error ? error.message.slice(0, 1_000) : 'unknown';
      logger.info({ asset: asset.id, err: error }, 'a data set could not be profiled');
      settle(asset.id, 'failed', { problem });
    }
  };
  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const next = waiting.get() as { id: string } | undefined;
      const asset = next && assets.get(next.id);
      if (asset === undefined) return;
      await look(asset);
    }
  };
  const run = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (stopping.signal.aborted) return;
    working ??= work()
      .catch((error: unknown) => logger.error({ err: error }, 'profiling data sets failed'))
      .finally(() => {
        working = undefined;
        if (!stopping.signal.aborted && waiting.get() !== undefined) schedule();
      });
  };
  const schedule = (): void => {
    if (working !== undefined || stopping.signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(run, PAUSE_MS).unref();
  };
  const get = (assetId: string): AssetProfile => {
    existing(assetId);
    const row = read.get(assetId) as
      | { state: AssetProfile['state']; body: string | null; updatedAt: string }
      | undefined;
    if (row === undefined) return { assetId, state: 'waiting', updatedAt: now() };
    const body = row.body === null ? {} : (JSON.parse(row.body) as object);
    return { assetId, state: row.state, updatedAt: row.updatedAt, ...body };
  };
  const columnsOf = async (assetId: string): Promise<readonly { name: string; shownType: string }[]> => {
    const asset = existing(assetId);
    try {
      return await withSource(asset, async ({ columns }) => columns);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message.slice(0, 1_000) : 'unknown';
      throw new FoedusError('unavailable', `The data set ${assetId} cannot be read: ${why}`, { cause });
    }
  };

  if (waiting.get() !== undefined) schedule();
  return {
    published: schedule,
    get,
    again: (assetId) => {
      existing(assetId);
      ask.run(assetId, now());
      run();
      return get(assetId);
    },
    hurry: run,
    schema: async (assetId) => pins.compared(assetId, await columnsOf(assetId)),
    repin: async (assetId) => pins.repin(assetId, await columnsOf(assetId)),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      clearTimeout(timer);
      // A copy from far away cannot be broken off: its end finds nothing to do any more.
      await Promise.race([working, pause(STOP_MS, undefined, { ref: false })]);
    },
  };
}

/** What the operator sees of it. The sampled values themselves are not kept. */
function profileOf({ rows, sample, columns }: Measured): Omit<AssetProfile, 'assetId' | 'state' | 'updatedAt'> {
  const profiled = columns.map((column): ColumnProfile => {
    const { name, type, arrow, nulls, distinct, min, max } = column;
    const personal = findPersonalData(column);
    return {
      name,
      type,
      arrow,
      nulls: sample.rows === 0 ? 0 : nulls / sample.rows,
      distinct,
      ...(min !== undefined && { min }),
      ...(max !== undefined && { max }),
      ...(personal && { personal: { ...personal, mask: { ...personal.mask } } }),
    };
  });
  const masks = profiled.flatMap(({ name, personal }) => (personal ? [[name, personal.mask] as const] : []));
  const suggestion = { leftOperand: `${FOEDUS}masks`, operator: 'eq', rightOperand: Object.fromEntries(masks) };
  return { rows, sample, columns: profiled, ...(masks.length > 0 && { suggestion }) };
}
