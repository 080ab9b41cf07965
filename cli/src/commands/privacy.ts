import { FoedusError } from '@foedus/connector/errors';
import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { z } from 'zod';
import { pldEpsilonOf, subsampledGaussian } from '@foedus/fl-core';
import { endProgress, print, printTable, progress } from '../terminal.ts';
import {
  budgetWords,
  deltaWords,
  numberWithin,
  positiveUpTo,
  properDelta,
  readOptions,
  wholeWithin,
} from './privacy-options.ts';
import { evaluationsWithin, tradeOffOf, type TradeOff } from './privacy-trade-off.ts';
import { drawCurve } from './terminal-chart.ts';

const optionsSchema = z
  .object({
    epsilon: positiveUpTo(1_000),
    delta: properDelta(),
    rows: wholeWithin({ from: 2, to: 1e12 }),
    batch: wholeWithin({ from: 1, to: 1e12 }),
    steps: wholeWithin({ from: 1, to: 100_000 }),
    rounds: wholeWithin({ from: 1, to: 100_000 }),
    clip: positiveUpTo(1e9),
    mostNoise: numberWithin({ from: 0.3, to: 1e6 }),
    evaluationNoise: numberWithin({ from: 0.1, to: 1e6 }).optional(),
    evaluateEvery: wholeWithin({ from: 1, to: 100_000 }).default(1),
    out: z.string().optional(),
  })
  .refine(({ batch, rows }) => batch <= rows, { path: ['batch'], message: 'is more than there are rows' });

/** What commander gives: text as typed. */
export type PrivacyPlanOptions = Partial<Record<keyof z.input<typeof optionsSchema>, string>>;

/**
 * `foedus privacy plan`: the least noise with which the rounds fit into the budget, or the most rounds that fit, and what
 * other lengths and batches would cost.
 *
 * @throws FoedusError `bad-request` for values out of range or a budget that allows nothing
 */
export async function planPrivacy(options: PrivacyPlanOptions): Promise<void> {
  const { steps, clip, out, evaluationNoise, evaluateEvery: every, ...rest } = readOptions(optionsSchema, options);
  const evaluation = evaluationNoise === undefined ? null : { every, noiseMultiplier: evaluationNoise };
  let tradeOff: TradeOff;
  let choices = 0;
  try {
    tradeOff = tradeOffOf({ ...rest, stepsPerRound: steps, clipNorm: clip, evaluation }, () =>
      progress(`Working out choice ${(choices += 1)}…`),
    );
  } catch (cause) {
    throw cause instanceof RangeError ? new FoedusError('bad-request', cause.message, { cause }) : cause;
  } finally {
    endProgress();
  }
  const { question, choice, byRounds, byBatch, spent } = tradeOff;
  const rows = summaryOf(tradeOff);
  for (const sentence of sentencesOf(tradeOff)) print(sentence);
  print();
  printTable(['what', 'value'], rows, '');
  print();
  const points = byRounds.map((one) => [one.rounds, one.noiseMultiplier] as const);
  const mark = [choice.rounds, choice.noiseMultiplier] as const;
  print(drawCurve({ title: 'Noise σ by number of rounds, within the budget', points, mark, isLogarithmic: true }));
  print(
    drawCurve({
      title: `ε by round, with σ = ${sigma(choice.noiseMultiplier)}`,
      points: spent.map(({ round, epsilon }) => [round, epsilon] as const),
      mark: [choice.rounds, choice.epsilon],
    }),
  );
  print('● is this plan.');
  print();
  print('Other batches with the same rounds and budget:');
  printTable(
    ['batch', 'σ', 'noise in the average gradient'],
    byBatch.map((one) => [String(one.batch), sigma(one.noiseMultiplier), one.noisePerStep.toPrecision(3)]),
    '',
  );
  print();
  print('For the plan of a session:');
  for (const line of settingsOf(tradeOff)) print(`  ${line}`);
  if (out === undefined) return;
  const { drawTradeOff, pageOf } = await import('./privacy-chart.ts');
  await writeFile(out, extname(out).toLowerCase() === '.svg' ? drawTradeOff(tradeOff) : pageOf(tradeOff, rows));
  print();
  print(`The charts for ${budgetWords(question)} are in ${out}.`);
}

const sigma = (noiseMultiplier: number): string => noiseMultiplier.toFixed(3);

function sentencesOf({ question, choice, isShortened }: TradeOff): string[] {
  const { epsilon, delta, rows, mostNoise } = question;
  const rounds = choice.rounds === 1 ? '1 round' : `${choice.rounds} rounds`;
  return [
    `Noise σ = ${sigma(choice.noiseMultiplier)} keeps ${rounds} within ${budgetWords(question)}.`,
    ...(isShortened
      ? [`${question.rounds} rounds were asked for: more than ${choice.rounds} need noise above ${mostNoise}.`]
      : []),
    ...(delta * rows >= 1 ? [`Take a smaller δ: it should be well below one in ${rows} rows.`] : []),
    ...(epsilon > 10 ? ['An ε above 10 promises little about a single row.'] : []),
  ];
}

/** What to write into a session's plan, so that what is promised there is what was planned here. */
function settingsOf({ question, choice }: TradeOff): string[] {
  const { clipNorm, delta, stepsPerRound, evaluation } = question;
  const { noiseMultiplier, samplingRate, rounds } = choice;
  return [
    `"rounds": ${rounds},`,
    `"local": { "steps": ${stepsPerRound}, "samplingRate": ${samplingRate}, … },`,
    '"privacy": { "unit": "record", "adjacency": "add-remove",',
    `             "noiseMultiplier": ${noiseMultiplier}, "clipNorm": ${clipNorm}, "delta": ${deltaWords(delta)} },`,
    ...(evaluation === null
      ? ['"evaluation": { "metrics": [], … }']
      : [
          `"evaluation": { "every": ${evaluation.every}, "noise": { "noiseMultiplier": ${evaluation.noiseMultiplier}, … }, … }`,
        ]),
  ];
}

function summaryOf({ question, choice, isShortened }: TradeOff): [string, string][] {
  const event = subsampledGaussian({
    noiseMultiplier: choice.noiseMultiplier,
    samplingRate: choice.samplingRate,
    steps: question.stepsPerRound * choice.rounds,
  });
  const { evaluation } = question;
  const evaluations = evaluationsWithin(question, choice.rounds);
  const { pessimistic, optimistic } = pldEpsilonOf([event, ...evaluations], question.delta, {
    interval: 2e-4,
    tolerance: 1e-2,
  });
  return [
    ['protected', 'one row, added or removed'],
    ['budget', budgetWords(question)],
    [
      'rounds',
      `${choice.rounds}${isShortened ? ` of ${question.rounds}` : ''}, of ${question.stepsPerRound} steps each`,
    ],
    ['batch', `${choice.batch} of ${question.rows} rows on average (q = ${choice.samplingRate.toPrecision(3)})`],
    ['clip norm C', String(question.clipNorm)],
    ['noise multiplier σ', `${sigma(choice.noiseMultiplier)} (each step adds noise of σ·C to a sum)`],
    ['noise in the average gradient', choice.noisePerStep.toPrecision(3)],
    ...(evaluation === null
      ? []
      : [
          [
            'evaluations',
            `${evaluations[0]?.steps ?? 0}, of histograms with noise ${evaluation.noiseMultiplier}`,
          ] satisfies [string, string],
        ]),
    ['ε as the ledger counts it', choice.epsilon.toFixed(4)],
    ['ε by loss distributions', `${optimistic.toFixed(4)} to ${pessimistic.toFixed(4)}, tighter, to compare`],
  ];
}
