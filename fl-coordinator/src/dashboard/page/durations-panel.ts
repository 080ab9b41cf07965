/** How long each phase of each round took. */
import type { SessionView } from '../../session/view.ts';
import { createChartPanel } from './chart-panel.ts';
import type { Part } from './element.ts';
import { axisEnd } from './metric-panels.ts';
import { duration } from './words.ts';

const phases = [
  { key: 'training', label: 'Training', colour: '--phase-1' },
  { key: 'aggregating', label: 'Averaging', colour: '--phase-2' },
  { key: 'evaluating', label: 'Evaluating', colour: '--phase-3' },
] as const;

function axisDuration(seconds: number): string {
  if (seconds >= 3600) return `${+(seconds / 3600).toFixed(1)} h`;
  if (seconds >= 120) return `${+(seconds / 60).toFixed(1)} min`;
  return `${+seconds.toFixed(2)} s`;
}

/** @returns a panel with one stacked bar for each round. */
export function createDurationsPanel(): Part<SessionView> {
  const chart = createChartPanel({
    kind: 'stacked-bars',
    title: 'Time by phase',
    className: 'durations',
    explanation: 'Seconds that each round spent training, averaging and evaluating.',
    range: (_, max) => [0, max > 0 ? max * 1.1 : 1],
    axisValue: axisDuration,
    value: duration,
  });
  return {
    element: chart.element,
    update(view) {
      chart.update({
        rounds: view.rounds.map((round) => round.round),
        lastRound: axisEnd(view),
        series: phases.map((phase) => ({
          ...phase,
          dash: [],
          width: 0,
          values: view.rounds.map((round) => round.durations[phase.key] ?? null),
        })),
        empty: 'Shown once the first round has begun.',
      });
    },
  };
}
