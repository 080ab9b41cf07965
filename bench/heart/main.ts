/** Fed-Heart-Disease as four organisations: see README.md. */
import { parseArgs } from 'node:util';
import { selectEngine } from '@foedus/fl-client/engine';
import { DATA_FOLDER, readHeart } from './data.ts';
import { differenceOf, isWithinPublished, type Row, runAll, settings, type Spread, spreadOf } from './experiment.ts';
import { createLaboratory, PARAMETERS, type Scores } from './training.ts';
import { createSecureSum } from './secure-sum.ts';

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '10' }, data: { type: 'string', default: DATA_FOLDER } },
});
const seeds = Number(values.seeds);
if (!Number.isInteger(seeds) || seeds < 1) throw new RangeError('--seeds takes a number of 1 or more.');

const heart = readHeart(values.data);
if (heart === undefined) {
  console.error(
    `The rows of Fed-Heart-Disease are not in ${values.data}. They are not part of the project: put the UCI files and ` +
      "the benchmark's split there, or name another folder with --data. bench/heart/README.md says what they are.",
  );
  process.exit(1);
}

const shown = ({ mean, deviation }: Spread): string => `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`;
const cells = (row: Row, score: keyof Scores): [string, string] => {
  const published = row.published?.[score];
  return [shown(spreadOf(row.runs.map((run) => run[score]))), published === undefined ? '' : shown(published)];
};

const start = performance.now();
const engine = await selectEngine('jax-wasm');
using laboratory = createLaboratory(engine, heart);
const rows = await runAll(laboratory, settings(heart), seeds, ({ name }) => process.stderr.write(`done: ${name}\n`));

const table = [
  ['', 'mean accuracy', '(published)', 'pooled accuracy', '(published)', 'pooled AUC', 'within'],
  ...rows.map((row) => {
    const within = isWithinPublished(row);
    return [
      row.name,
      ...cells(row, 'meanAccuracy'),
      ...cells(row, 'pooledAccuracy'),
      cells(row, 'pooledAuc')[0],
      within === undefined ? '' : within ? 'yes' : 'no',
    ];
  }),
];
const widths = table[0]!.map((_, column) => Math.max(...table.map((cell) => cell[column]!.length)));
console.log(`${seeds} seeds, mean ± standard deviation, engine ${engine.name} (${engine.device})\n`);
for (const cell of table)
  console.log(
    cell
      .map((text, i) => text.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );

const { bits } = createSecureSum(heart.centres.length, PARAMETERS);
console.log(`\nSecure aggregation (values of ${bits} bits) beside the same seeds without, largest differences:`);
for (const row of rows) {
  const plain = rows.find(({ name }) => name === row.plain);
  if (plain === undefined) continue;
  const { parameter, accuracy, auc } = differenceOf(row, plain);
  console.log(
    `  ${row.name}: parameters ${parameter.toExponential(1)}, accuracy ${accuracy.toFixed(4)}, AUC ${auc.toExponential(1)}`,
  );
}
console.log(`\n${((performance.now() - start) / 1000).toFixed(0)} s`);
