import { startTrainer, type Trainer } from '@foedus/fl-client';
import { initialParameters, parameterCount, readUpdate, type SessionPlan } from '@foedus/fl-core';
import type { Narrator } from '../narrator.ts';
import { airports, home, type Space } from '../space/layout.ts';
import type { Journal } from './journal.ts';
import type { TrainedSession, Training } from './train-together.ts';

export interface ModelRow {
  readonly kind: 'alone' | 'federated' | 'federated with privacy' | 'pooled';
  readonly model: string;
  /** On each airport's held-out flights, in the order of `airports`. */
  readonly aucs: readonly (number | null)[];
  /** On the held-out flights of all airports together. */
  readonly all: number;
}

export interface Comparison {
  readonly rows: readonly ModelRow[];
}

/**
 * AUC of every model on every airport's held-out flights. For this the demo looks into all folders, which nobody in
 * the data space can; "alone" and "pooled" are trained here with the same network, steps and rate as the federation.
 */
export async function compareModels(
  space: Space,
  journal: Journal,
  narrator: Narrator,
  training: Training,
): Promise<Comparison> {
  return await journal.step('comparison', async () => {
    const plan = training.withoutNoise.plan;
    const files = airports.map(({ name }) => home(space, name).flights);
    await using judges = await openJudges(plan, files);
    const rows: ModelRow[] = [];
    const judge = async (kind: ModelRow['kind'], model: string, parameters: Float32Array): Promise<void> => {
      const { aucs, all } = await judges.judge(parameters);
      rows.push({ kind, model, aucs, all });
    };
    for (const [index, { airport, name }] of airports.entries()) {
      narrator.progress(`Training ${airport} alone`);
      await judge('alone', `${airport} alone`, await trainHere(plan, judges.trainers[index]!, name, narrator));
    }
    await judge('federated', 'federated', await parametersOf(training.withoutNoise));
    await judge('federated with privacy', 'federated, private', await parametersOf(training.withPrivacy));
    narrator.progress('Training on all flights in one place');
    await judge('pooled', 'pooled in one place', await trainHere(plan, judges.together, 'all flights', narrator));
    return { rows };
  });
}

/** Trainers that only the demo has: one for each airport's rows and one for all rows. */
async function openJudges(plan: SessionPlan, files: readonly string[]) {
  await using opened = new AsyncDisposableStack();
  const open = async (parquetPath: string | readonly string[]): Promise<Trainer> =>
    opened.use(await startTrainer({ engine: 'auto', parquetPath, plan }));
  const trainers: Trainer[] = [];
  for (const file of files) trainers.push(await open(file));
  const together = await open(files);
  const disposables = opened.move();
  return {
    trainers,
    together,
    async judge(parameters: Float32Array): Promise<{ aucs: (number | null)[]; all: number }> {
      const aucs: (number | null)[] = [];
      for (const trainer of trainers) aucs.push((await trainer.evaluate(parameters)).auc);
      return { aucs, all: (await together.evaluate(parameters)).auc ?? Number.NaN };
    },
    [Symbol.asyncDispose]: async () => disposables.disposeAsync(),
  };
}

async function trainHere(plan: SessionPlan, trainer: Trainer, name: string, narrator: Narrator): Promise<Float32Array> {
  let parameters = initialParameters(plan);
  for (let round = 1; round <= plan.rounds; round++) {
    ({ parameters } = await trainer.trainRound(parameters, round));
    narrator.progress(`${name}: ${round * plan.local.steps} of ${plan.rounds * plan.local.steps} steps`);
  }
  return parameters;
}

async function parametersOf({ model, plan }: TrainedSession): Promise<Float32Array> {
  const source = (async function* () {
    yield Buffer.from(model, 'base64');
  })();
  return (await readUpdate(source, { maxCount: parameterCount(plan) })).parameters;
}
