import type { Drawn } from '../ledger/ledger.ts';

/** Bytes that are charged, and may leave, at once. Every charge is a durable transaction. */
export const CHARGED_BYTES = 1024 * 1024;

/** Counts what is read and charges it before it leaves. */
export interface Meter {
  /** To be called with the rows of each batch when it is read. */
  readonly read: (rows: number) => void;
  /**
   * Holds pieces back until they are charged: what comes out is paid for, with every row that was read for it. As the
   * agreement is asked again at each charge, at most one such part leaves after it has ended.
   */
  charged(
    pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>;
}

/** @param draw charges, or throws where nothing more may leave */
export function createMeter(draw: (amounts: Drawn) => void): Meter {
  let rows = 0;
  return {
    read: (more) => {
      rows += more;
    },
    async *charged(pieces) {
      let held: Uint8Array<ArrayBuffer>[] = [];
      let bytes = 0;
      const pay = (): Uint8Array<ArrayBuffer>[] => {
        draw({ rows, bytes });
        const paid = held;
        [held, rows, bytes] = [[], 0, 0];
        return paid;
      };
      for await (const piece of pieces) {
        held.push(piece);
        bytes += piece.byteLength;
        if (bytes >= CHARGED_BYTES) yield* pay();
      }
      if (bytes > 0 || rows > 0) yield* pay();
      return undefined;
    },
  };
}

/** Reads the first piece, so that what is refused is known before anything is sent. @throws what `pieces` throw */
export async function primed(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>,
): Promise<AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>> {
  const first = await pieces.next();
  const all = async function* (): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
    try {
      for (let next = first; !next.done; next = await pieces.next()) yield next.value;
    } finally {
      await pieces.return(undefined);
    }
    return undefined;
  };
  return all();
}
