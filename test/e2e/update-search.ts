/** What a client had or sent, as record-updates.mjs wrote it down. */
export interface RecordedUpdate {
  /**
   * `update`: float32, before it is encoded. `words`: its ring elements before masks, as 32-bit words or packed.
   * `masked`: what is sent under secure aggregation. `clear`: float32, what is sent without.
   */
  readonly kind: 'update' | 'words' | 'masked' | 'clear';
  readonly bytes: Buffer;
}

const kinds: Readonly<Record<string, RecordedUpdate['kind']>> = { u: 'update', w: 'words', m: 'masked', c: 'clear' };

export function readUpdates(file: Buffer): RecordedUpdate[] {
  const found: RecordedUpdate[] = [];
  for (let at = 0; at < file.length;) {
    const length = file.readUInt32LE(at + 1);
    const kind = kinds[file.toString('latin1', at, at + 1)];
    if (kind === undefined) throw new Error(`there is no record at byte ${at}`);
    found.push({ kind, bytes: file.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return found;
}

/** Four floats; of packed integers of 24 bits five. */
const WINDOW_BYTES = 16;
const WINDOWS = 40;

/** Pieces from all over an update. Those that are mostly zero would be found anywhere and are left out. */
export function windowsOf({ bytes }: RecordedUpdate): Buffer[] {
  const step = Math.max(4, Math.floor(bytes.length / WINDOWS / 4) * 4);
  const windows: Buffer[] = [];
  for (let at = 0; at + WINDOW_BYTES <= bytes.length; at += step) {
    const window = bytes.subarray(at, at + WINDOW_BYTES);
    if (window.filter((byte) => byte !== 0).length >= 8 && new Set(window).size >= 6) windows.push(window);
  }
  return windows;
}

/** @returns how many of the update's pieces occur in `content`, at any offset */
export function occurrences(content: Buffer, update: RecordedUpdate): number {
  return windowsOf(update).filter((window) => content.includes(window)).length;
}
