import type { Migration } from '../database.ts';
import { controlPlane } from './0001-control-plane.ts';
import { ledger } from './0002-ledger.ts';

/** The connector's schema, step by step. */
export const migrations: readonly Migration[] = [controlPlane, ledger];
