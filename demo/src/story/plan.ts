import type { SessionPlanDraft } from '@foedus/fl-core';

/** W3C Data Privacy Vocabulary 2.x. */
export const purposes = {
  optimisation: 'https://w3id.org/dpv#ServiceOptimisation',
  research: 'https://w3id.org/dpv#ResearchAndDevelopment',
  marketing: 'https://w3id.org/dpv#Marketing',
} as const;

export const delta = 1e-5;

/**
 * What all of them train: will a flight leave 15 minutes late or more?
 *
 * 24 rounds of 100 steps with batches of 2% of the rows (about 290 of an airport's 14,500), and 8 noised evaluations:
 * ε ≈ 7.2 at δ = 1e-5.
 */
export function planDraft(seed: string, privacy: boolean): SessionPlanDraft {
  return {
    title: privacy ? 'Will a flight leave late?' : 'Will a flight leave late? Without noise, to compare',
    purpose: privacy ? purposes.optimisation : purposes.research,
    label: { column: 'delay', atLeast: 15 },
    features: [
      { kind: 'time-part', column: 'date', part: 'hour' },
      { kind: 'time-part', column: 'date', part: 'weekday' },
      { kind: 'time-part', column: 'date', part: 'month' },
      { kind: 'number', column: 'distance', center: 700, scale: 500 },
      { kind: 'hashed-category', column: 'destination', buckets: 64 },
    ],
    model: { kind: 'mlp', hidden: [32], activation: 'relu', seed },
    rounds: 24,
    local: { steps: 100, samplingRate: 0.02, learningRate: 1 },
    privacy: privacy ? { unit: 'record', adjacency: 'add-remove', noiseMultiplier: 1, clipNorm: 4, delta } : null,
    // Nobody may see one airport's update, whatever the coordinator does. No update comes near the norm of 40.
    secureAggregation: { mode: 'active-server', clip: 40, stepTimeoutSeconds: 30 },
    strategy: { name: 'fedavg', serverLearningRate: 1 },
    minimumCohort: 3,
    roundTimeoutSeconds: 120,
    earlyStop: null,
    evaluation: {
      holdOut: 0.2,
      salt: 'mobility-2001',
      metrics: ['auc', 'logLoss'],
      every: 3,
      // Counts of about 3,600 held-out flights, each ± 6: AUC ± 0.02, and ε 7.2 instead of 6.8 in all.
      noise: privacy ? { bins: 32, noiseMultiplier: 6 } : null,
    },
  };
}
