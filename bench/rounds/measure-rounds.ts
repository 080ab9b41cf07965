/** Rounds of real coordinators and clients, with a trainer that takes no time. */
import { parameterCount, type SessionPlanDraft } from '@foedus/fl-core';
import type { StartTrainer } from '@foedus/fl-client';
import { createFederation, plan as testPlan } from '../../test/federated/federation.ts';

export interface RoundTimes {
  readonly name: string;
  readonly parameters: number;
  /** From one round's beginning to the next one's. */
  readonly milliseconds: readonly number[];
}

const base: SessionPlanDraft = {
  ...testPlan,
  title: 'Rounds',
  features: [{ kind: 'hashed-category', column: 'distance', buckets: 1_024 }],
  model: { kind: 'mlp', hidden: [97], activation: 'relu', seed: '5e'.repeat(32) },
  evaluation: { holdOut: 0, salt: 'bench', metrics: [] },
};
const parameters = parameterCount({ features: base.features, model: base.model });

const update = Float32Array.from({ length: parameters }, (_, i) => 0.01 * Math.sin(i));
const startTrainer: StartTrainer = async () => ({
  trainRound: async () => ({ update: update.slice(), seconds: 0 }),
  evaluate: async () => ({ auc: null, logLoss: null }),
  histogram: async (_, bins) => ({ negatives: Array<number>(bins).fill(0), positives: Array<number>(bins).fill(0) }),
  [Symbol.asyncDispose]: async () => {},
});

export async function measureRounds(options: {
  readonly clients: number;
  readonly rounds: number;
}): Promise<RoundTimes[]> {
  const { clients, rounds } = options;
  const names = Array.from({ length: clients }, (_, i) => `m${String(i).padStart(2, '0')}`);
  await using federation = await createFederation(names);
  const secureAggregation = { clip: 10, stepTimeoutSeconds: 60 } as const;
  const drafts: readonly { readonly name: string; readonly draft: Partial<SessionPlanDraft> }[] = [
    { name: 'every update seen', draft: { secureAggregation: null } },
    { name: 'honest-server', draft: { secureAggregation: { ...secureAggregation, mode: 'honest-server' } } },
    { name: 'active-server', draft: { secureAggregation: { ...secureAggregation, mode: 'active-server' } } },
  ];
  const times: RoundTimes[] = [];
  for (const { name, draft } of drafts) {
    const partners = await federation.agree({});
    await using stack = new AsyncDisposableStack();
    const coordinator = stack.use(await federation.coordinator());
    for (const partner of partners) stack.use(await federation.client(partner, startTrainer));
    const { id } = await coordinator.plan({ ...base, ...draft, rounds: rounds + 2, minimumCohort: clients }, partners);
    await coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const end = await coordinator.until(id, ({ state }) => state === 'completed' || state === 'failed');
    if (end.state !== 'completed') throw new Error(`${name}: ${end.reason}`);
    const starts = end.rounds.map(({ startedAt }) => Date.parse(startedAt));
    // The first round waits for enrolments and cold code.
    times.push({ name, parameters, milliseconds: starts.slice(2).map((start, i) => start - starts[i + 1]!) });
  }
  return times;
}
