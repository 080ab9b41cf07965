import { FoedusError } from '@foedus/connector/errors';
import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { z } from 'zod';
import { plot } from 'simple-ascii-chart';
import { pldEpsilonOf, subsampledGaussian } from '@foedus/fl-core';
import { print, printTable } from '../terminal.ts';
import { evaluationsWithin, tradeOffOf, type TradeOff } from './privacy-trade-off.ts';

const optionsSchema = z
  .object({
    epsilon: z.coerce.number().positive().max(1_000),
    delta: z.coerce.number().gt(0).lt(1),
    rows: z.coerce.number().int().min(2).max(1e12),
    batch: z.coerce.number().int().min(1),
    steps: z.coerce.number().int().min(1).max(100_000),
    rounds: z.coerce.number().int().min(1).max(100_000),
    clip: z.coerce.number().positive(),
    mostNoise: z.coerce.number().min(0.3).max(1e6),
    evaluationNoise: z.coerce.number().min(0.1).max(1e6).optional(),
    evaluateEvery: z.coerce.number().int().min(1).max(100_000).default(1),
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
  const parsed = optionsSchema.safeParse(options);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => `  --${path.join('.')}: ${message}`);
    throw new FoedusError('bad-request', `The plan cannot be made from these values.\n${lines.join('\n')}`);
  }
  const { steps, clip, out, evaluationNoise, evaluateEvery: every, ...rest } = parsed.data;
  const evaluation = evaluationNoise === undefined ? null : { every, noiseMultiplier: evaluationNoise };
  let tradeOff: TradeOff;
  try {
    tradeOff = tradeOffOf({ ...rest, stepsPerRound: steps, clipNorm: clip, evaluation });
  } catch (cause) {
    throw cause instanceof RangeError ? new FoedusError('bad-request', cause.message, { cause }) : cause;
  }
  const rows = summaryOf(tradeOff);
  printTable(['', ''], rows, '');
  print();
  print(
    chartOf(
      'Noise σ by rounds, within the budget',
      tradeOff.byRounds.map((c) => [c.rounds, c.noiseMultiplier]),
    ),
  );
  print(
    chartOf(
      'ε by round, with the noise chosen',
      tradeOff.spent.map((s) => [s.round, s.epsilon]),
    ),
  );
  print('Other batches with the same rounds and budget:');
  printTable(
    ['batch', 'σ', 'noise in the average gradient'],
    tradeOff.byBatch.map((c) => [String(c.batch), c.noiseMultiplier.toFixed(3), c.noisePerStep.toFixed(5)]),
    '',
  );
  if (out === undefined) return;
  const { drawTradeOff, pageOf } = await import('./privacy-chart.ts');
  await writeFile(out, extname(out).toLowerCase() === '.svg' ? drawTradeOff(tradeOff) : pageOf(tradeOff, rows));
  print();
  print(`The chart is in ${out}.`);
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
    ['unit and neighbours', 'one row, added or removed'],
    ['budget', `ε = ${question.epsilon} at δ = ${question.delta}`],
    [
      'rounds',
      `${choice.rounds}${isShortened ? ` of ${question.rounds} (more would need noise above ${question.mostNoise})` : ''}`,
    ],
    ['noise multiplier σ', choice.noiseMultiplier.toFixed(3)],
    ['clip norm C', String(question.clipNorm)],
    ['batch', `${choice.batch} of ${question.rows} rows on average (q = ${choice.samplingRate.toPrecision(4)})`],
    ['noise in the average gradient', choice.noisePerStep.toPrecision(3)],
    ...(evaluation === null
      ? []
      : [
          [
            'evaluations',
            `${evaluations[0]?.steps ?? 0}, histograms with noise multiplier ${evaluation.noiseMultiplier}`,
          ] satisfies [string, string],
        ]),
    ['ε as the ledger counts it', choice.epsilon.toFixed(4)],
    ['ε by loss distributions', `between ${optimistic.toFixed(4)} and ${pessimistic.toFixed(4)}`],
  ];
}

const chartOf = (title: string, points: [number, number][]): string =>
  plot(points, { title, width: 60, height: 12, formatter: (value) => Number(value.toPrecision(3)) });
