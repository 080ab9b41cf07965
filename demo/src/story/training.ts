import { epsilonOf, histogramEvent, type SessionPlanDraft, subsampledGaussian } from '@foedus/fl-core';
import type { SessionView } from '@foedus/fl-coordinator';
import type { Narrator } from '../narrator.ts';
import { short } from './negotiate.ts';
import type { CoordinatorClient } from './operators.ts';

export const hasEnded = ({ state }: SessionView): boolean => ['completed', 'stopped', 'failed'].includes(state);

/** ε after `rounds` rounds of a plan, with the evaluations that lie between them; Infinity without noise on rows. */
export function epsilonAfter(plan: SessionPlanDraft, rounds: number): number {
  if (plan.privacy?.unit !== 'record') return Number.POSITIVE_INFINITY;
  const { noiseMultiplier, delta } = plan.privacy;
  const { samplingRate, steps } = plan.local;
  const { noise = null, every = 1 } = plan.evaluation;
  const updates = subsampledGaussian({ noiseMultiplier, samplingRate, steps: steps * rounds });
  const evaluations = noise === null ? [] : [{ ...histogramEvent(noise), steps: Math.floor(rounds / every) }];
  return epsilonOf([updates, ...evaluations], delta).epsilon;
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
      const done = `round ${round.round} of ${view.roundsTarget}`;
      if (round.mean.auc === null) {
        narrator.progress(`${done} done`);
        continue;
      }
      const aucs = Object.entries(round.contributions).map(([id, { auc }]) => `${short(id)} ${format(auc)}`);
      const kind = view.plan.evaluation.noise === null ? 'AUC' : 'noised AUC';
      const text = `${done}: ${kind} ${format(round.mean.auc)} (${aucs.join(', ')}), log loss ${format(round.mean.logLoss)}`;
      if (round.round % 6 === 0) narrator.say(text);
      else narrator.progress(text);
    }
  });
}

export const format = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : value.toFixed(3);
