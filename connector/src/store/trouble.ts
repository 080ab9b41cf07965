import { FoedusError } from '../errors.ts';

/** Primary result codes of SQLite that say nothing about what was asked: busy, locked, no memory, I/O, full, … */
const PASSING = new Set([5, 6, 7, 10, 13, 14, 15]);

/**
 * Tells trouble of the store that may pass (another process holds it, its disk is full) from a fault.
 *
 * @returns the error that callers are to see, FoedusError `unavailable`; undefined for anything else
 */
export function passingTrouble(error: unknown): FoedusError | undefined {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown };
  // The lower byte of an extended code is the primary one (SQLite, "Result and Error Codes").
  if (code !== 'ERR_SQLITE_ERROR' || typeof errcode !== 'number' || !PASSING.has(errcode & 0xff)) return undefined;
  return new FoedusError('unavailable', 'The store of this connector cannot be used now. Try again later.', {
    cause: error,
  });
}
