/** Parameters by session and round, with what the strategy needs to go on from there. */
import { parametersHash } from '@foedus/fl-core';
import type { Database } from '@foedus/connector/store';
import type { ServerModel } from '../strategy/strategy.ts';

/** A stored model without its values. */
export interface ModelEntry {
  /** The round that it came out of; 0: initial. */
  readonly round: number;
  /** SHA-256 of the parameters, hex. */
  readonly hash: string;
}

const blob = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
/** SQLite's buffers need not be aligned: those that are not are copied. */
const floats = (bytes: Uint8Array): Float32Array => {
  const { buffer, byteOffset } = byteOffsetFits(bytes) ? bytes : bytes.slice();
  return new Float32Array(buffer, byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
};
const byteOffsetFits = ({ byteOffset }: Uint8Array): boolean => byteOffset % Float32Array.BYTES_PER_ELEMENT === 0;

/** Blobs are in the byte order of this host; a store does not move between hosts of different byte orders. */
export function createModelRegistry({ sql }: Database) {
  const insert = sql.prepare(
    'INSERT INTO models (session_id, round, hash, parameters, optimizer) VALUES (?, ?, ?, ?, ?)',
  );
  const newest = sql.prepare('SELECT round, hash FROM models WHERE session_id = ? ORDER BY round DESC LIMIT 1');
  const select = sql.prepare('SELECT parameters, optimizer FROM models WHERE session_id = ? AND round = ?');
  const prune = sql.prepare('DELETE FROM models WHERE session_id = ? AND round NOT IN (?, ?)');

  return {
    /** Call it within the transaction that ends the round. */
    put(sessionId: string, round: number, model: ServerModel): ModelEntry {
      const hash = parametersHash(model.parameters);
      const optimizer = model.optimizer === null ? null : blob(model.optimizer);
      insert.run(sessionId, round, hash, blob(model.parameters), optimizer);
      return { round, hash };
    },
    newest(sessionId: string): ModelEntry | undefined {
      return newest.get(sessionId) as ModelEntry | undefined;
    },
    read(sessionId: string, round: number): ServerModel | undefined {
      const row = select.get(sessionId, round) as { parameters: Uint8Array; optimizer: Uint8Array | null } | undefined;
      if (row === undefined) return undefined;
      return {
        parameters: floats(row.parameters),
        optimizer: row.optimizer === null ? null : floats(row.optimizer),
      };
    },
    /** Keeps the newest and the best. */
    keepOnly(sessionId: string, newestRound: number, bestRound: number): void {
      prune.run(sessionId, newestRound, bestRound);
    },
  };
}

export type ModelRegistry = ReturnType<typeof createModelRegistry>;
