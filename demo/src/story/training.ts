import { epsilonOf, type SessionPlanDraft } from '@foedus/fl-core';
import type { SessionView } from '@foedus/fl-coordinator';
import type { Narrator } from '../narrator.ts';
import { short } from './negotiate.ts';
import type { CoordinatorClient } from './operators.ts';

export const hasEnded = ({ state }: SessionView): boolean => ['completed', 'stopped', 'failed'].includes(state);

/** ε after `rounds` rounds of a plan; Infinity without noise. */
export function epsilonAfter(plan: SessionPlanDraft, rounds: number): number {
  if (plan.privacy === null) return Number.POSITIVE_INFINITY;
  const { noiseMultiplier, delta } = plan.privacy;
  return epsilonOf(
    [
      {
        mechanism: 'poisson-subsampled-gaussian',
        unit: 'record',
        adjacency: 'add-remove',
        noiseMultiplier,
        samplingRate: plan.local.samplingRate,
        steps: plan.local.steps * rounds,
      },
    ],
    delta,
  ).epsilon;
}

/** Follows a session until it has ended, telling every finished round. */
export async function followToTheEnd(
  client: CoordinatorClient,
  sessionId: string,
  narrator: Narrator,
): Promise<SessionView> {
  let told = 0;
  return client.follow(sessionId, hasEnded, (view) => {
    for (const round of view.rounds.filter((candidate) => candidate.phase === 'done' && candidate.round > told)) {
      told = round.round;
      const aucs = Object.entries(round.contributions).map(([id, { auc }]) => `${short(id)} ${format(auc)}`);
      const text = `round ${round.round} of ${view.roundsTarget}: AUC ${format(round.mean.auc)} (${aucs.join(', ')}), log loss ${format(round.mean.logLoss)}`;
      if (round.round % 6 === 0 || round.round === 1) narrator.say(text);
      else narrator.progress(text);
    }
  });
}

export const format = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : value.toFixed(3);
