import type { Migration } from '../database.ts';
import { controlPlane } from './0001-control-plane.ts';
import { ledger } from './0002-ledger.ts';
import { operatorApi } from './0003-operator-api.ts';
import { catalog } from './0004-catalog.ts';
import { volume } from './0005-volume.ts';
import { ledgerChain } from './0006-ledger-chain.ts';
import { duties } from './0007-duties.ts';
import { shares } from './0008-shares.ts';
import { profiles } from './0009-profiles.ts';
import { push } from './0010-push.ts';
import { partnerHeads } from './0011-partner-heads.ts';

/** The connector's schema, step by step. */
export const migrations: readonly Migration[] = [
  controlPlane,
  ledger,
  operatorApi,
  catalog,
  volume,
  ledgerChain,
  duties,
  shares,
  profiles,
  push,
  partnerHeads,
];
