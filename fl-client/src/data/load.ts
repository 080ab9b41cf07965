import { FoedusError } from '@foedus/connector/errors';
import { type DataPlan, readColumns } from './columns.ts';
import { concatenate, type Dataset, encodeRows, type SplitPlan, splitRows } from './dataset.ts';

/** A participant's rows, and which of them train and which evaluate. The numbers of rows stay local as well. */
export interface TrainingData {
  readonly dataset: Dataset;
  /** uint32: indices of the rows to train on. */
  readonly train: Uint32Array;
  /** uint32: indices of the rows kept out of training. */
  readonly heldOut: Uint32Array;
}

/**
 * @param parquetPaths one file, or several for a comparison on pooled data; each is split by its own row numbers, so a
 *   row held out of its own file is held out of the pool
 * @throws FoedusError as readColumns; `no-rows` when there is nothing to train on
 */
export async function loadTrainingData(
  parquetPaths: readonly string[],
  plan: DataPlan & SplitPlan,
): Promise<TrainingData> {
  const parts: Dataset[] = [];
  for (const path of parquetPaths) parts.push(encodeRows(plan, await readColumns(path, plan)));
  const held = Buffer.concat(parts.map((part) => splitRows(plan, part.rowNumbers)));
  const dataset = concatenate(parts);
  const all = Uint32Array.from({ length: dataset.rows }, (_, row) => row);
  const train = all.filter((row) => held[row] === 0);
  if (train.length === 0) {
    throw new FoedusError('no-rows', `There is no row with a label to train on in ${parquetPaths.join(', ')}.`);
  }
  return { dataset, train, heldOut: all.filter((row) => held[row] === 1) };
}
