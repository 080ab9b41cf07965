import type { Hono } from 'hono';
import type { Logger } from 'pino';
import type { Identity } from '../identity/index.ts';
import type { LedgerHeads } from '../ledger/heads.ts';
import type { AgreementReader, UsageControl } from '../ledger/usage-control.ts';
import type { Database } from '../store/database.ts';
import type { DataFlow } from '../transfer/data-flow.ts';
import type { SchemaPins } from '../profile/schema-pins.ts';
import { createGrantedData, type AssetReader } from './granted-data.ts';
import { createPullDataFlow, type TransferReader } from './pull/pull-data-flow.ts';
import { createOutbound } from './push/outbound.ts';
import { createPushDataFlow, type PushControl } from './push/push-data-flow.ts';

/** What moves data in this process: the flows of its formats, and what they serve. */
export interface DataPlane extends AsyncDisposable {
  readonly flows: readonly DataFlow[];
  /** Below `/data`, for the mTLS port. */
  readonly routes: Hono;
}

export interface DataPlaneOptions {
  readonly identity: Pick<Identity, 'participantId' | 'tls'>;
  readonly usageControl: UsageControl;
  readonly agreements: AgreementReader;
  readonly assets: AssetReader;
  readonly heads: Pick<LedgerHeads, 'signed' | 'present'>;
  readonly pins: Pick<SchemaPins, 'applied'>;
  readonly transfers: TransferReader;
  /** Root of the node's mTLS port as others reach it. */
  readonly publicUrl: string;
  readonly tokenLifetimeSeconds: number;
  /** Networks that are no public ones, and may be pushed to all the same. */
  readonly allowedNetworks: readonly string[];
  /** A push that has got nowhere for so long is given up. */
  readonly giveUpAfterSeconds: number;
  readonly control: PushControl;
  readonly database: Database;
  readonly dataDir: string;
  readonly clock: () => Date;
  readonly logger: Logger;
}

/** The data plane of a connector. Disposing it ends everything that runs. */
export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const data = createGrantedData(options);
  const pull = createPullDataFlow({ ...options, data });
  const outbound = createOutbound(options.allowedNetworks);
  const push = createPushDataFlow({ ...options, data, outbound });
  return {
    flows: [pull.flow, push.flow],
    routes: pull.routes,
    async [Symbol.asyncDispose]() {
      await push[Symbol.asyncDispose]();
      await pull[Symbol.asyncDispose]();
      await data[Symbol.asyncDispose]();
    },
  };
}
