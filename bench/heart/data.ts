/**
 * Fed-Heart-Disease: the UCI Heart Disease rows of four hospitals, split and prepared as the FLamby benchmark does
 * (Ogier du Terrail et al., "FLamby", NeurIPS 2022, arXiv:2210.04620).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dataset } from '@foedus/fl-client/training';
import { z } from 'zod';

/** Beside the checkout, never in it. */
export const DATA_FOLDER = join(import.meta.dirname, '../../../shared/data/fed-heart-disease');

export const CENTRES = ['cleveland', 'hungarian', 'switzerland', 'va'] as const;

/** Inputs of the model: eight numbers, cp as three and restecg as two indicators. */
export const WIDTH = 13;

/** Rows as the engine takes them, and which of them train and test. */
export interface Part {
  readonly dataset: Dataset;
  /** uint32: rows to train on. */
  readonly train: Uint32Array;
  /** uint32: rows to test on. */
  readonly test: Uint32Array;
}

export interface Heart {
  /** The four hospitals, each scaled by the mean and deviation of its own training rows. */
  readonly centres: readonly Part[];
  /** All rows in one place, scaled by those of all training rows: what nobody in the federation has. */
  readonly pooled: Part;
}

const indices = z.array(z.int().min(0));
const splitSchema = z.record(z.enum(CENTRES), z.object({ kept_rows_0based: indices, train: indices, test: indices }));

/** Columns 10 to 12 (slope, ca, thal) are missing for most and left out; column 13 is the label. */
const NUMBERS = [0, 1, 3, 4, 5, 7, 8, 9];
const CATEGORIES = [2, 6];
const LABEL = 13;

interface Raw {
  readonly rows: readonly (readonly number[])[];
  readonly train: readonly number[];
  readonly test: readonly number[];
}

/**
 * @returns undefined when the folder is not there
 * @throws Error when a file of it is not what it should be
 */
export function readHeart(folder: string = DATA_FOLDER): Heart | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, 'split.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const split = splitSchema.parse(JSON.parse(text));
  const raw = CENTRES.map((name): Raw => {
    const lines = readFileSync(join(folder, `processed.${name}.data`), 'utf8')
      .trim()
      .split('\n');
    const { kept_rows_0based: kept, train, test } = split[name];
    const rows = kept.map((row) => (lines[row] ?? '').split(',').map(Number));
    if (rows.some((row) => [...NUMBERS, ...CATEGORIES, LABEL].some((column) => !Number.isFinite(row[column])))) {
      throw new Error(`A row of ${name} that the split keeps has a missing value: the files do not belong together.`);
    }
    return { rows, train, test };
  });
  const categories = CATEGORIES.map((column) =>
    [...new Set(raw.flatMap(({ rows }) => rows.map((row) => row[column]!)))].toSorted((a, b) => a - b).slice(1),
  );
  const inputsOf = (row: readonly number[]): number[] => [
    ...NUMBERS.map((column) => row[column]!),
    ...CATEGORIES.flatMap((column, i) => categories[i]!.map((category) => (row[column] === category ? 1 : 0))),
  ];
  const encoded = raw.map(({ rows, train, test }) => ({
    inputs: rows.map(inputsOf),
    labels: rows.map((row) => (row[LABEL]! > 0 ? 1 : 0)),
    train,
    test,
  }));
  let offset = 0;
  const whole = { inputs: [] as number[][], labels: [] as number[], train: [] as number[], test: [] as number[] };
  for (const { inputs, labels, train, test } of encoded) {
    whole.inputs.push(...inputs);
    whole.labels.push(...labels);
    whole.train.push(...train.map((row) => row + offset));
    whole.test.push(...test.map((row) => row + offset));
    offset += inputs.length;
  }
  return { centres: encoded.map(scaled), pooled: scaled(whole) };
}

/** z-scores by the training rows (deviation with n − 1); a column that never varies becomes 0. */
function scaled(part: {
  readonly inputs: readonly (readonly number[])[];
  readonly labels: readonly number[];
  readonly train: readonly number[];
  readonly test: readonly number[];
}): Part {
  const { inputs, labels, train, test } = part;
  const n = inputs.length;
  const values = new Float32Array(n * WIDTH);
  for (let column = 0; column < WIDTH; column++) {
    const seen = train.map((row) => inputs[row]![column]!);
    const mean = seen.reduce((sum, value) => sum + value, 0) / seen.length;
    const variance = seen.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (seen.length - 1);
    const factor = variance > 0 ? 1 / Math.sqrt(variance) : 0;
    for (let row = 0; row < n; row++) values[row * WIDTH + column] = (inputs[row]![column]! - mean) * factor;
  }
  return {
    dataset: {
      rows: n,
      width: WIDTH,
      slots: WIDTH,
      positions: Int32Array.from({ length: n * WIDTH }, (_, at) => at % WIDTH),
      values,
      labels: Float32Array.from(labels),
      rowNumbers: Uint32Array.from({ length: n }, (_, row) => row),
    },
    train: Uint32Array.from(train),
    test: Uint32Array.from(test),
  };
}
