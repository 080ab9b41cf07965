/**
 * Rows as the model takes them. A row of D inputs has at most one input that is not 0 for each feature, so only these
 * are kept: 8 bytes a row and feature, where dense float32 inputs would take 4·D. They become dense batch by batch.
 */
import { hash } from 'node:crypto';
import { featureWidth, type Feature, inputWidth, type SessionPlan } from '@foedus/fl-core';
import type { MicroBatch } from '../engine/engine.ts';
import type { ColumnTable, DataPlan, FeatureColumn } from './columns.ts';

export interface Dataset {
  /** n */
  readonly rows: number;
  /** D, the model's inputs. */
  readonly width: number;
  /** F, the plan's features: places for inputs that are not 0. */
  readonly slots: number;
  /** int32 [n × F]: which input is not 0; −1 for none. */
  readonly positions: Int32Array;
  /** float32 [n × F]: its value. */
  readonly values: Float32Array;
  /** float32 [n], 0 or 1. */
  readonly labels: Float32Array;
  /** uint32 [n]: the row's number in its file, from 0. */
  readonly rowNumbers: Uint32Array;
}

/**
 * A number this far from its centre, in scales, counts as this far: one absurd value in a file must not make every
 * gradient infinite.
 */
const LARGEST_NUMBER = 1e6;

/**
 * Rows whose label is null are left out. A feature that is null, or not a finite number, leaves all its inputs 0.
 *
 * @param table as readColumns gives it for the same plan
 */
export function encodeRows(plan: DataPlan, table: ColumnTable): Dataset {
  const labelled = Uint32Array.from(
    { length: table.label.reduce((count, label) => count + (Number.isNaN(label) ? 0 : 1), 0) },
    () => 0,
  );
  let rows = 0;
  for (const [row, label] of table.label.entries()) if (!Number.isNaN(label)) labelled[rows++] = row;

  const slots = plan.features.length;
  const positions = new Int32Array(rows * slots).fill(-1);
  const values = new Float32Array(rows * slots);
  let first = 0;
  for (const [slot, feature] of plan.features.entries()) {
    const column = table.features[slot];
    if (column === undefined) throw new RangeError(`The table has no column for feature ${slot}.`);
    const encode = encoderOf(feature, column);
    for (let i = 0; i < rows; i++) {
      const { position, value } = encode(labelled[i] ?? 0);
      if (position < 0) continue;
      positions[i * slots + slot] = first + position;
      values[i * slots + slot] = value;
    }
    first += featureWidth(feature);
  }
  return {
    rows,
    width: inputWidth(plan.features),
    slots,
    positions,
    values,
    labels: Float32Array.from(labelled, (row) => ((table.label[row] ?? 0) >= plan.label.atLeast ? 1 : 0)),
    rowNumbers: labelled,
  };
}

interface Input {
  readonly position: number;
  readonly value: number;
}
const NOTHING: Input = { position: -1, value: 0 };

function encoderOf(feature: Feature, column: FeatureColumn): (row: number) => Input {
  if (column.kind === 'number' && feature.kind === 'number') {
    return (row) => {
      const value = ((column.values[row] ?? Number.NaN) - feature.center) / feature.scale;
      if (!Number.isFinite(value)) return NOTHING;
      return { position: 0, value: Math.max(-LARGEST_NUMBER, Math.min(LARGEST_NUMBER, value)) };
    };
  }
  if (column.kind === 'category' && feature.kind === 'hashed-category') {
    const buckets = column.dictionary.map((value) => hashedBucket(value, feature.buckets));
    return (row) => {
      const bucket = buckets[column.codes[row] ?? -1];
      return bucket === undefined ? NOTHING : { position: bucket, value: 1 };
    };
  }
  if (column.kind === 'index') {
    const width = featureWidth(feature);
    return (row) => {
      const position = column.values[row] ?? -1;
      return position >= 0 && position < width ? { position, value: 1 } : NOTHING;
    };
  }
  throw new TypeError(`A ${column.kind} column was read for a feature of kind ${feature.kind}.`);
}

/** @returns SHA-256 of the value's UTF-8 bytes, as a big-endian integer, mod `buckets` */
export function hashedBucket(value: string, buckets: number): number {
  return hash('sha256', value, 'buffer').reduce((remainder, byte) => (remainder * 256 + byte) % buckets, 0);
}

/** What says which rows are held out. */
export interface SplitPlan {
  readonly evaluation: Pick<SessionPlan['evaluation'], 'holdOut' | 'salt'>;
}

/**
 * Which rows of a file are kept out of training: those where the first four bytes of SHA-256(salt ‖ ':' ‖ row number),
 * as a big-endian fraction of 2³², are below the plan's `holdOut`. Every run of a session holds out the same rows, and
 * so does whoever else splits the same file by the same plan. A row that is taken out leaves its number to nobody: where
 * the file is written anew without it, rows behind it change sides, and what was released before and after are two
 * releases about two data sets. A row whose label is null is out, and keeps its place.
 *
 * @returns uint8 [rowNumbers.length]: 1 for a held-out row
 */
export function splitRows(plan: SplitPlan, rowNumbers: ArrayLike<number>): Uint8Array {
  const { holdOut, salt } = plan.evaluation;
  return Uint8Array.from(rowNumbers, (row) => {
    const fraction = hash('sha256', `${salt}:${row}`, 'buffer').readUInt32BE(0) / 0x1_0000_0000;
    return fraction < holdOut ? 1 : 0;
  });
}

/** @returns the rows of all of them, one data set behind the other; all of the same plan */
export function concatenate(datasets: readonly Dataset[]): Dataset {
  const [first] = datasets;
  if (first === undefined) throw new RangeError('There is no data set to put together.');
  if (datasets.length === 1) return first;
  const rows = datasets.reduce((sum, dataset) => sum + dataset.rows, 0);
  const whole: Dataset = {
    rows,
    width: first.width,
    slots: first.slots,
    positions: new Int32Array(rows * first.slots),
    values: new Float32Array(rows * first.slots),
    labels: new Float32Array(rows),
    rowNumbers: new Uint32Array(rows),
  };
  let offset = 0;
  for (const part of datasets) {
    whole.positions.set(part.positions, offset * first.slots);
    whole.values.set(part.values, offset * first.slots);
    whole.labels.set(part.labels, offset);
    whole.rowNumbers.set(part.rowNumbers, offset);
    offset += part.rows;
  }
  return whole;
}

/** @returns a batch of B rows of width D, all of weight 0, to be filled again and again */
export function emptyBatch(microBatch: number, width: number): MicroBatch {
  return {
    inputs: new Float32Array(microBatch * width),
    labels: new Float32Array(microBatch),
    weights: new Float32Array(microBatch),
  };
}

/**
 * Writes rows into a batch; what is left of it has weight 0 and inputs 0.
 *
 * @param rows at most B indices of rows of the data set
 */
export function fillBatch(batch: MicroBatch, dataset: Dataset, rows: Uint32Array): void {
  const { width, slots, positions, values, labels } = dataset;
  if (rows.length > batch.labels.length) throw new RangeError(`${rows.length} rows do not fit into the batch.`);
  batch.inputs.fill(0);
  batch.labels.fill(0);
  batch.weights.fill(0);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    for (let at = row * slots; at < (row + 1) * slots; at++) {
      const position = positions[at] ?? -1;
      if (position >= 0) batch.inputs[i * width + position] = values[at] ?? 0;
    }
    batch.labels[i] = labels[row] ?? 0;
    batch.weights[i] = 1;
  }
}
