/** AUC and log loss by round, for each partner and on average. */
import type { RoundView, SessionView } from '../../session/view.ts';
import { createChartPanel } from './chart-panel.ts';
import type { Part } from './element.ts';
import type { ChartSeries } from './round-chart.ts';
import { metric, namesOf } from './words.ts';

type Metric = 'auc' | 'logLoss';

const NOISED = 'Noised: it follows from counts that each partner sends with noise and pays for from its budget.';

/** Lines differ in colour and in dash, so that neither is needed to tell them apart. */
const dashes = [[], [7, 3], [2, 3], [10, 3, 2, 3], [4, 2], [12, 4]] as const;
const colours = dashes.length;

function partnerSeries(view: SessionView, rounds: readonly RoundView[], name: Metric): ChartSeries[] {
  const ids = view.participants.map((participant) => participant.participantId);
  const names = namesOf(ids);
  return ids.map((id, index) => ({
    key: id,
    label: names.get(id) ?? id,
    colour: `--series-${(index % colours) + 1}`,
    // The seventh partner has the first one's colour: it gets the next dash.
    dash: dashes[(index + Math.floor(index / colours)) % dashes.length] ?? [],
    width: 1.75,
    values: rounds.map((round) => round.contributions[id]?.[name] ?? null),
  }));
}

/** The end of the axis: all rounds asked for, unless they are so many that those done would be a sliver. */
export function axisEnd(view: SessionView): number {
  const last = view.rounds.at(-1)?.round ?? 1;
  return Math.max(last, Math.min(view.roundsTarget, Math.max(24, 2 * last)));
}

function metricPanel(options: {
  readonly name: Metric;
  readonly title: string;
  readonly explanation: string;
  readonly range: (min: number, max: number) => [number, number];
}): Part<SessionView> {
  const chart = createChartPanel({
    kind: 'lines',
    title: options.title,
    className: `metric-${options.name.toLowerCase()}`,
    explanation: options.explanation,
    range: options.range,
    axisValue: (value) => value.toFixed(2),
    value: metric,
  });
  return {
    element: chart.element,
    update(view) {
      const { name } = options;
      // Where the plan asks for no metric at all there is nothing to wait for.
      chart.element.hidden = view.plan.evaluation.metrics.length === 0;
      const measured = view.rounds.filter(
        (round) => round.mean[name] !== null || Object.values(round.contributions).some((one) => one[name] !== null),
      );
      const mean: ChartSeries = {
        key: 'mean',
        label: 'Mean',
        colour: '--ink',
        dash: [],
        width: 2.75,
        values: measured.map((round) => round.mean[name]),
      };
      chart.update({
        rounds: measured.map((round) => round.round),
        lastRound: axisEnd(view),
        series: [...partnerSeries(view, measured, name), mean],
        empty: view.plan.evaluation.metrics.includes(name)
          ? 'Shown after the first round that partners evaluated.'
          : 'The plan of this session does not ask for it.',
        ...(view.plan.evaluation.noise === null ? {} : { note: NOISED }),
      });
    },
  };
}

/** Bounds on multiples of `step` with a little air, so that the axis moves seldom. */
function bounds(min: number, max: number, step: number): [number, number] {
  const air = step / 4;
  const low = Math.floor((min - air) / step) * step;
  const high = Math.ceil((max + air) / step) * step;
  return [Math.max(0, low), Math.max(high, low + 2 * step)];
}

/** Area under the ROC curve: 0.5 is guessing, 1 is perfect. */
export function createAucPanel(): Part<SessionView> {
  return metricPanel({
    name: 'auc',
    title: 'AUC by round',
    explanation: 'How well the model ranks each partner’s held-out rows: 0.5 is guessing, 1 is perfect.',
    range(min, max) {
      const [low, high] = bounds(min, max, 0.05);
      return [Math.min(low, 0.95), Math.min(high, 1)];
    },
  });
}

/** Log loss in nats. */
export function createLogLossPanel(): Part<SessionView> {
  return metricPanel({
    name: 'logLoss',
    title: 'Log loss by round',
    explanation: 'How far its probabilities are from what happened on those rows: lower is better.',
    range: (min, max) => bounds(min, max, max - min > 0.5 ? 0.25 : 0.05),
  });
}
