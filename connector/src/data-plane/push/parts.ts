import { createHash } from 'node:crypto';
import { FoedusError } from '../../errors.ts';
import type { Drawn } from '../../ledger/ledger.ts';
import type { Database } from '../../store/database.ts';
import type { PushStore } from './push-store.ts';
import type { Part } from './receiver.ts';

/** Cuts a stream into parts of the same size; there is always a last one, perhaps an empty one. */
export async function* inParts(pieces: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Part, undefined> {
  let held: Uint8Array<ArrayBuffer> = new Uint8Array(partBytes);
  let filled = 0;
  let number = 1;
  let offset = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      // A full part leaves only when more comes: else it is the last one.
      if (filled === partBytes) {
        yield { number, offset, bytes: held, last: false };
        [number, offset, held, filled] = [number + 1, offset + filled, new Uint8Array(partBytes), 0];
      }
      const taken = piece.subarray(at, at + partBytes - filled);
      held.set(taken, filled);
      filled += taken.length;
      at += taken.length;
    }
  }
  yield { number, offset, bytes: held.subarray(0, filled), last: true };
  return undefined;
}

/**
 * Charges each part once, before it leaves for the first time, and keeps its hash: what is sent again is the same.
 * Charge and hash are one transaction, so a crash comes before both or after both.
 *
 * @param rowsRead tells how many rows have been read since it was asked last
 * @throws FoedusError what `draw` throws; `gone` where a part is not what was charged for it
 */
export function createCharging(options: {
  database: Database;
  store: PushStore;
  transferId: string;
  draw: (amounts: Drawn) => void;
  rowsRead: () => number;
}): (part: Part) => void {
  const { database, store, transferId, draw, rowsRead } = options;
  return ({ number, bytes }) => {
    const hash = createHash('sha256').update(bytes).digest('hex');
    const rows = rowsRead();
    database.transaction(() => {
      const known = store.part(transferId, number);
      if (known === undefined) {
        draw({ rows, bytes: bytes.length });
        store.addPart(transferId, number, { bytes: bytes.length, hash });
      } else if (known.hash === hash) {
        // It is charged, but is it still permitted?
        draw({});
      } else {
        throw new FoedusError(
          'gone',
          'The data set changed while it was pushed, so the rest does not fit to what was sent. Ask for another transfer.',
        );
      }
    });
  };
}
