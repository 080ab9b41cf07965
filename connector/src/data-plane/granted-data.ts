import { join } from 'node:path';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { Decision } from '@foedus/usage-policies';
import type { Logger } from 'pino';
import { FoedusError } from '../errors.ts';
import type { Asset, SignedAgreement } from '../management/model.ts';
import type { SchemaPins } from '../profile/schema-pins.ts';
import { createCopyStore } from './source/arrow-import.ts';
import { createSources, type DataSource } from './source/data-source.ts';
import { describeRows } from './describe.ts';
import { openEngine } from './scan/engine.ts';
import { maskingKeyFor, type MaskingKey } from './column/masking-key.ts';
import { loadOrCreateSecret } from './node-secret.ts';
import type { PullQuery } from './pull-request.ts';
import type { RowStream, ScanOptions } from './scan/row-stream.ts';
import type { GrantedPlan, ScanPlan } from './scan/scan-plan.ts';
import { unrestrictedFile } from './source/whole-file.ts';

/** Copies of data sets that lie elsewhere or in a format that the engine does not read. */
const MOST_COPIED_BYTES = 20 * 1024 ** 3;

export interface AssetReader {
  get(assetId: string): Asset | undefined;
}

/** What an agreement grants of a data set, open: its first batch is read. */
export type Granted =
  | {
      readonly kind: 'rows';
      readonly rows: RowStream;
      /** Bytes that may leave in one answer. */
      readonly byteLimit: number | null;
    }
  /** A Parquet file of which all is granted. */
  | { readonly kind: 'file'; readonly path: string; readonly rows: number };

export interface GrantedData extends AsyncDisposable {
  /**
   * Opens what a decision grants, narrowed by what is asked for.
   *
   * @param asFile whether a Parquet file that is granted whole may be given as it is
   * @throws FoedusError `not-found`, `not-permitted`, or `unavailable` where the data set cannot be read
   */
  open(
    granted: { agreement: SignedAgreement; decision: Decision; query: PullQuery; asFile: boolean },
    options: ScanOptions,
  ): Promise<Granted>;
  /** The Arrow stream of what `open` would give, without a row. @throws FoedusError as `open` */
  describe(granted: { agreement: SignedAgreement; plan: GrantedPlan; query: PullQuery }): Promise<Uint8Array>;
}

/** The data sets of this node as agreements grant them. The engine is started when the first one is opened. */
export function createGrantedData(options: {
  assets: AssetReader;
  pins: Pick<SchemaPins, 'applied'>;
  dataDir: string;
  logger: Logger;
}): GrantedData {
  const { assets, pins, logger } = options;
  const folder = join(options.dataDir, 'data-plane');
  const maskingSecret = loadOrCreateSecret(join(folder, 'masking.secret'));
  let engine: Promise<DuckDBInstance> | undefined;
  const getEngine = (): Promise<DuckDBInstance> => (engine ??= openEngine());
  const openSource = createSources({
    engine: getEngine,
    copies: createCopyStore(join(folder, 'copies'), MOST_COPIED_BYTES),
  });
  const keyFor = (agreement: SignedAgreement): MaskingKey => maskingKeyFor(maskingSecret, agreement.id);
  const withSource = async <T>({ target }: SignedAgreement, work: (source: DataSource) => Promise<T>): Promise<T> => {
    const asset = assets.get(target);
    if (asset === undefined) throw new FoedusError('not-found', 'The provider does not offer the data set any more.');
    try {
      return await work(await openSource(asset.source));
    } catch (cause) {
      if (cause instanceof FoedusError && cause.code !== 'bad-request') throw cause;
      // What the engine says names the file: that is for the log, not for the consumer.
      logger.error({ err: cause, asset: asset.id }, 'the data set cannot be read');
      throw new FoedusError('unavailable', 'The data set cannot be read at its provider just now. Try again later.', {
        cause,
      });
    }
  };
  return {
    open: ({ agreement, decision, query, asFile }, scanOptions) =>
      withSource(agreement, async (source) => {
        if (decision.plan === null) throw new Error('a permitted use without a plan');
        const plan = pins.applied(agreement.target, source.columns, decision.plan);
        const path = asFile ? unrestrictedFile(source, decision, plan, query) : undefined;
        if (path !== undefined) return { kind: 'file', path, rows: await rowsOf(await getEngine(), path) };
        const rows = await source.scan(planned(agreement, plan, query), keyFor(agreement), scanOptions);
        return { kind: 'rows', rows, byteLimit: plan.byteLimit ?? null };
      }),
    describe: ({ agreement, plan, query }) =>
      withSource(agreement, (source) => {
        const pinned = pins.applied(agreement.target, source.columns, plan);
        return describeRows(source, planned(agreement, pinned, query), keyFor(agreement));
      }),
    async [Symbol.asyncDispose]() {
      (await engine)?.closeSync();
    },
  };
}

function planned({ assignee }: SignedAgreement, granted: GrantedPlan, query: PullQuery): ScanPlan {
  const { purpose: _purpose, ...asked } = query;
  return { granted, asked, claims: { participantId: assignee } };
}

/** The number of rows that a Parquet file says it has. */
async function rowsOf(engine: DuckDBInstance, path: string): Promise<number> {
  const connection = await engine.connect();
  try {
    const reader = await connection.runAndReadAll('SELECT num_rows FROM parquet_file_metadata($1)', [path]);
    return Number(reader.getRows()[0]?.[0] ?? 0);
  } finally {
    connection.closeSync();
  }
}
