import type { Hono } from 'hono';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { ConnectorConfig } from '../config/index.ts';
import { loadOrCreateSecret } from '../data-plane/node-secret.ts';
import type { AgreementReader } from '../ledger/usage-control.ts';
import { createContractReader, type ContractReaderOptions } from './contract-reader.ts';
import { createFileTokens } from './file-urls.ts';
import { deltaSharingRoutes } from './routes.ts';
import { createShareProfiles, type ShareProfiles } from './share-profiles.ts';
import { createSpool } from './spool.ts';

/** Where the endpoint is on the port for operators. */
export const DELTA_SHARING_PATH = '/delta-sharing';

export interface DeltaSharingParts extends ContractReaderOptions {
  readonly agreements: AgreementReader;
  readonly dataDir: string;
  readonly settings: ConnectorConfig['deltaSharing'];
  /** Root of the port for operators. */
  readonly managementUrl: string;
  readonly clock: () => Date;
  readonly logger: Logger;
}

export interface DeltaSharing extends AsyncDisposable {
  readonly profiles: ShareProfiles;
  readonly routes: Hono;
}

/** The data sets of this node's agreements as an endpoint of the open Delta Sharing protocol. */
export function createDeltaSharing(parts: DeltaSharingParts): DeltaSharing {
  const { dataDir, settings, managementUrl, changes, clock, logger } = parts;
  const endpoint = (): string => settings.publicUrl?.replace(/\/+$/, '') ?? managementUrl + DELTA_SHARING_PATH;
  const profiles = createShareProfiles({ ...parts, endpoint });
  const folder = join(dataDir, 'delta-sharing');
  const spool = createSpool({
    folder: join(folder, 'files'),
    lifetimeMs: settings.fileLifetimeSeconds * 1000,
    mostBytes: settings.mostBytes,
    clock,
  });
  let secret: Buffer | undefined;
  const fileTokens = createFileTokens({
    secret: () => (secret ??= loadOrCreateSecret(join(folder, 'files.secret'))),
    audience: endpoint,
    lifetimeSeconds: settings.fileLifetimeSeconds,
    clock,
  });
  const reader = createContractReader(parts);
  return {
    profiles,
    routes: deltaSharingRoutes({ profiles, reader, spool, fileTokens, endpoint, stopping: changes.stopping, logger }),
    [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose](),
  };
}
