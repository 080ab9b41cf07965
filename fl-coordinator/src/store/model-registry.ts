/**
 * Parameters by session and round, with what the strategy needs to go on from there. They lie in parts and are read and
 * written part by part: whatever the model's size, a few hundred kilobytes of it are in memory.
 */
import { createHash } from 'node:crypto';
import type { Database } from '@foedus/connector/store';
import { littleEndianBytes } from '@foedus/fl-core';
import type { ModelPart } from '../strategy/strategy.ts';

/** A stored model without its values. */
export interface ModelEntry {
  /** The round that it came out of; 0: initial. */
  readonly round: number;
  /** SHA-256 of the parameters, hex. */
  readonly hash: string;
}

/** Parameters of each part but the last, which may be shorter: stores are written with it, so it does not change. */
export const PART_PARAMETERS = 16_384;

/** Pages of the store that are kept in memory, in KiB at most. */
const CACHE_KIB = 2_048;

/** Where the parameters lie; what the optimizer remembers of them lies behind, an array at 1, another at 2 … */
const PARAMETERS = 0;

interface PartRow {
  readonly slot: number;
  readonly bytes: Uint8Array;
}

const blob = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
/** SQLite's buffers need not be aligned: those that are not are copied. */
const floats = (bytes: Uint8Array): Float32Array => {
  const { buffer, byteOffset } = byteOffsetFits(bytes) ? bytes : bytes.slice();
  return new Float32Array(buffer, byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
};
const byteOffsetFits = ({ byteOffset }: Uint8Array): boolean => byteOffset % Float32Array.BYTES_PER_ELEMENT === 0;

/** Gives the memory back now: buffers lie outside the engine's heap, so it lets tens of megabytes of them pile up. */
const free = ({ buffer, byteLength }: Float32Array): void => {
  if (buffer.byteLength === byteLength) (buffer as ArrayBuffer).transfer(0);
};

/** The parameters of a model that is whole in memory, without anything that an optimizer remembers. */
export function* partsOf(parameters: Float32Array): Generator<ModelPart> {
  for (let at = 0; at < parameters.length; at += PART_PARAMETERS) {
    yield { parameters: parameters.subarray(at, at + PART_PARAMETERS), optimizer: [] };
  }
}

/** Blobs are in the byte order of this host; a store does not move between hosts of different byte orders. */
export function createModelRegistry({ sql }: Database) {
  // Models pass through the cache of pages, and fill it however large it is; what else is in the store is small.
  sql.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
  const insert = sql.prepare('INSERT INTO models (session_id, round, hash) VALUES (?, ?, ?)');
  const insertPart = sql.prepare(
    'INSERT INTO model_parts (session_id, round, part, slot, bytes) VALUES (?, ?, ?, ?, ?)',
  );
  const newest = sql.prepare('SELECT round, hash FROM models WHERE session_id = ? ORDER BY round DESC LIMIT 1');
  const select = sql.prepare('SELECT round, hash FROM models WHERE session_id = ? AND round = ?');
  const selectPart = sql.prepare(
    'SELECT slot, bytes FROM model_parts WHERE session_id = ? AND round = ? AND part = ? ORDER BY slot',
  );
  const selectParameters = sql.prepare(
    `SELECT bytes FROM model_parts WHERE session_id = ? AND round = ? AND part = ? AND slot = ${PARAMETERS}`,
  );
  const prune = sql.prepare('DELETE FROM models WHERE session_id = ? AND round NOT IN (?, ?)');

  return {
    /**
     * Call it within the transaction that ends the round.
     *
     * @param parts of PART_PARAMETERS each, but the last; each is only looked at before the next is asked for
     */
    put(sessionId: string, round: number, parts: Iterable<ModelPart>): ModelEntry {
      const digest = createHash('sha256');
      let number = 0;
      for (const { parameters, optimizer } of parts) {
        digest.update(littleEndianBytes(parameters));
        for (const [slot, values] of [parameters, ...optimizer].entries()) {
          insertPart.run(sessionId, round, number, slot, blob(values));
        }
        number += 1;
      }
      const hash = digest.digest('hex');
      insert.run(sessionId, round, hash);
      return { round, hash };
    },
    newest(sessionId: string): ModelEntry | undefined {
      return newest.get(sessionId) as ModelEntry | undefined;
    },
    /** @returns undefined for a model that is not kept (any more) */
    entry(sessionId: string, round: number): ModelEntry | undefined {
      return select.get(sessionId, round) as ModelEntry | undefined;
    },
    /** The model's parts in their order, none for a model that is not kept. The memory of each goes with the next one. */
    *parts(sessionId: string, round: number): Generator<ModelPart> {
      for (let number = 0; ; number++) {
        const rows = selectPart.all(sessionId, round, number) as unknown as PartRow[];
        if (rows.length === 0) return;
        const [parameters, ...optimizer] = rows.map(({ bytes }) => floats(bytes));
        try {
          yield { parameters: parameters!, optimizer };
        } finally {
          for (const values of [parameters!, ...optimizer]) free(values);
        }
      }
    },
    /** @returns the parameters of one part; undefined behind the last one, and for a model that is not kept (any more) */
    parameters(sessionId: string, round: number, part: number): Float32Array | undefined {
      const row = selectParameters.get(sessionId, round, part) as Pick<PartRow, 'bytes'> | undefined;
      return row === undefined ? undefined : floats(row.bytes);
    },
    /** Keeps the newest and the best. */
    keepOnly(sessionId: string, newestRound: number, bestRound: number): void {
      prune.run(sessionId, newestRound, bestRound);
    },
  };
}

export type ModelRegistry = ReturnType<typeof createModelRegistry>;
