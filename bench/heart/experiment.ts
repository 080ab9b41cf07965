/** What is compared, and how the runs of all seeds become a row. */
import { calibrate, epsilonOf, subsampledGaussian } from '@foedus/fl-core';
import { CENTRES, type Heart } from './data.ts';
import { type Federated, type Laboratory, type PrivateTraining, type Run, ROUNDS, type Scores } from './training.ts';

/** Mean and standard deviation over seeds. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number;
}

export type Published = Partial<Record<keyof Scores, Spread>>;

export interface Row {
  readonly name: string;
  readonly runs: readonly Run[];
  /** Over five seeds, from the data's notes. */
  readonly published?: Published | undefined;
  /** What the run without secure aggregation is called, to compare with seed by seed. */
  readonly plain?: string | undefined;
}

const BUDGETS = [1, 3, 10];
/** Below 1/199, the largest hospital's training rows. */
const DELTA = 1e-3;
const PRIVATE = { clipNorm: 1, samplingRate: 0.25, steps: 10, delta: DELTA };

const FEDAVG: Federated = {
  strategy: { name: 'fedavg', serverLearningRate: 1 },
  clientLearningRate: 0.001,
  schedule: 'benchmark',
};
const FEDADAM: Federated = {
  strategy: { name: 'fedadam', serverLearningRate: 0.01, beta1: 0.9, beta2: 0.999, tau: 1e-8 },
  clientLearningRate: 0.01,
  schedule: 'benchmark',
};
/** Noise makes the benchmark's step sizes useless: these were chosen once, for all three budgets. */
const PRIVATE_FEDAVG: Federated = { ...FEDAVG, schedule: 'foedus', clientLearningRate: 0.1 };
const PRIVATE_FEDADAM: Federated = {
  strategy: { name: 'fedadam', serverLearningRate: 0.03, beta1: 0.9, beta2: 0.999, tau: 0.01 },
  schedule: 'foedus',
  clientLearningRate: 0.1,
};

/** The least noise with which all rounds stay within ε, as a ledger counts it. */
export function privateTraining(epsilon: number): PrivateTraining & { readonly epsilon: number } {
  const eventsOf = (noiseMultiplier: number) => [
    subsampledGaussian({ noiseMultiplier, samplingRate: PRIVATE.samplingRate, steps: PRIVATE.steps * ROUNDS }),
  ];
  const noiseMultiplier = calibrate({ budget: { epsilon, delta: DELTA }, planned: eventsOf, accountant: 'rdp' });
  return { ...PRIVATE, noiseMultiplier, epsilon: epsilonOf(eventsOf(noiseMultiplier), DELTA).epsilon };
}

interface Setting extends Omit<Row, 'runs'> {
  readonly run: (laboratory: Laboratory, seed: number) => Promise<Run>;
}

const at = (mean: number, deviation: number): Spread => ({ mean, deviation });

function federated(name: string, setting: Federated, rest: Pick<Row, 'published' | 'plain'> = {}): Setting {
  return { name, run: (laboratory, seed) => laboratory.federated(setting, seed), ...rest };
}

/** A strategy four ways: the benchmark's, Foedus's, each with and without secure aggregation; then the budgets. */
function strategySettings(
  name: string,
  setting: Federated,
  { published, forPrivacy }: { readonly published: Published; readonly forPrivacy: Federated },
): Setting[] {
  const ours: Federated = { ...setting, schedule: 'foedus' };
  const equal = `${name}, equal weights, Poisson samples`;
  return [
    federated(name, setting, { published }),
    federated(`${name}, secure aggregation`, { ...setting, isSecure: true }, { plain: name }),
    federated(equal, ours),
    federated(`${equal}, secure aggregation`, { ...ours, isSecure: true }, { plain: equal }),
    ...BUDGETS.map((epsilon) => {
      const privacy = privateTraining(epsilon);
      const label = `${name}, ε = ${privacy.epsilon.toFixed(2)} (σ = ${privacy.noiseMultiplier.toFixed(2)})`;
      return federated(label, { ...forPrivacy, privacy });
    }),
  ];
}

/** @returns every row's name and how one seed of it is run, in the table's order */
export function settings(heart: Heart): Setting[] {
  return [
    {
      name: 'pooled (Adam, 50 epochs)',
      run: (laboratory, seed) => laboratory.alone(heart.pooled, seed),
      published: { meanAccuracy: at(0.7353, 0.0025), pooledAccuracy: at(0.7953, 0.0025) },
    },
    ...heart.centres.map((centre, i): Setting => ({
      name: `${CENTRES[i]!} alone`,
      run: (laboratory, seed) => laboratory.alone(centre, seed),
    })),
    ...strategySettings('FedAvg', FEDAVG, {
      published: { meanAccuracy: at(0.685, 0.0253), pooledAccuracy: at(0.748, 0.024) },
      forPrivacy: PRIVATE_FEDAVG,
    }),
    ...strategySettings('FedAdam', FEDADAM, {
      published: { meanAccuracy: at(0.7255, 0.0124), pooledAccuracy: at(0.7787, 0.013) },
      forPrivacy: PRIVATE_FEDADAM,
    }),
  ];
}

/** @param onRow called as each row is done */
export async function runAll(
  laboratory: Laboratory,
  all: readonly Setting[],
  seeds: number,
  onRow: (row: Row) => void = () => {},
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { run, ...rest } of all) {
    const runs: Run[] = [];
    for (let seed = 0; seed < seeds; seed++) runs.push(await run(laboratory, seed));
    const row = { ...rest, runs };
    rows.push(row);
    onRow(row);
  }
  return rows;
}

/** @returns mean and standard deviation (n − 1) */
export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(square / Math.max(1, values.length - 1)) };
}

/** The largest differences between two rows, seed by seed. */
export interface Difference {
  readonly parameter: number;
  readonly accuracy: number;
  readonly auc: number;
}

/** @returns how far apart the rows are; both ran the same seeds */
export function differenceOf(one: Row, other: Row): Difference {
  const largest = (of: (a: Run, b: Run) => number): number =>
    Math.max(...one.runs.map((run, seed) => of(run, other.runs[seed]!)));
  return {
    parameter: largest((a, b) => Math.max(...a.parameters.map((value, i) => Math.abs(value - b.parameters[i]!)))),
    accuracy: largest((a, b) =>
      Math.max(Math.abs(a.meanAccuracy - b.meanAccuracy), Math.abs(a.pooledAccuracy - b.pooledAccuracy)),
    ),
    auc: largest((a, b) => Math.abs(a.pooledAuc - b.pooledAuc)),
  };
}

/** @returns whether our mean lies within the published mean ± that many deviations, for every score that was published */
export function isWithinPublished({ runs, published }: Row, deviations = 1): boolean | undefined {
  if (published === undefined) return undefined;
  return (Object.entries(published) as [keyof Scores, Spread][]).every(
    ([score, { mean, deviation }]) =>
      Math.abs(spreadOf(runs.map((run) => run[score])).mean - mean) <= deviations * deviation,
  );
}
