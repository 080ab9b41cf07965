import type { Hono } from 'hono';
import type { Logger } from 'pino';
import type { AgreementReader, UsageControl } from '../ledger/usage-control.ts';
import type { DataFlow } from '../transfer/data-flow.ts';
import type { SchemaPins } from '../profile/schema-pins.ts';
import { createGrantedData, type AssetReader } from './granted-data.ts';
import { createPullDataFlow, type TransferReader } from './pull-data-flow.ts';

/** What moves data in this process: the flows of its formats, and what they serve. */
export interface DataPlane extends AsyncDisposable {
  readonly flows: readonly DataFlow[];
  /** Below `/data`, for the mTLS port. */
  readonly routes: Hono;
}

export interface DataPlaneOptions {
  readonly identity: { readonly participantId: string };
  readonly usageControl: UsageControl;
  readonly agreements: AgreementReader;
  readonly assets: AssetReader;
  readonly pins: Pick<SchemaPins, 'applied'>;
  readonly transfers: TransferReader;
  /** Root of the node's mTLS port as others reach it. */
  readonly publicUrl: string;
  readonly tokenLifetimeSeconds: number;
  readonly dataDir: string;
  readonly clock: () => Date;
  readonly logger: Logger;
}

/** The data plane of a connector. Disposing it ends everything that runs. */
export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const data = createGrantedData(options);
  const pull = createPullDataFlow({ ...options, data });
  return {
    flows: [pull.flow],
    routes: pull.routes,
    async [Symbol.asyncDispose]() {
      await pull[Symbol.asyncDispose]();
      await data[Symbol.asyncDispose]();
    },
  };
}
