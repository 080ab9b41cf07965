import { Field, Schema } from 'apache-arrow';
import { arrowPieces } from './format/arrow-stream.ts';
import type { DataSource } from './source/data-source.ts';
import type { MaskingKey } from './column/masking-key.ts';
import type { ScanPlan } from './scan/scan-plan.ts';

/** Metadata of a column that leaves masked: how. */
export const MASK_KEY = 'foedus.mask';

/**
 * What would leave, without a row of it: an Arrow IPC stream that has a schema and no batch. A masked column says so in
 * its metadata.
 *
 * @throws FoedusError `not-permitted` as the scan itself
 */
export async function describeRows(source: DataSource, plan: ScanPlan, key: MaskingKey): Promise<Uint8Array> {
  const none = { ...plan, granted: { ...plan.granted, limit: 0 } };
  await using rows = await source.scan(none, key, { signal: new AbortController().signal });
  const { masks } = plan.granted;
  const fields = rows.schema.fields.map(({ name, type, nullable, metadata }) => {
    const mask = Object.hasOwn(masks, name) ? masks[name] : undefined;
    return new Field(name, type, nullable, mask ? new Map([...metadata, [MASK_KEY, mask.method]]) : metadata);
  });
  const pieces: Uint8Array[] = [];
  for await (const piece of arrowPieces(new Schema(fields), nothing())) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* nothing(): AsyncGenerator<never, undefined> {
  yield* [];
  return undefined;
}
