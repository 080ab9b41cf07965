/** The trade-off that `foedus privacy plan` shows: how much noise each number of rounds takes within a budget. */
import type { SessionTradeOff } from '@foedus/fl-core';
import type { SessionView } from '../../session/view.ts';
import { askedOnce } from './asked.ts';
import { createChartPanel } from './chart-panel.ts';
import type { Part } from './element.ts';
import { sessionTradeOff } from './operator-api.ts';
import type { ChartSeries } from './round-chart.ts';
import { sentenceList } from './sentences.ts';
import type { Sentence } from './sentences.ts';
import { budgetWords, namesOf, multiplier, plural, someNames } from './words.ts';

/** Of each curve: colour and dash, so that neither is needed to tell them apart. */
const looks = [
  { colour: '--series-1', dash: [] },
  { colour: '--series-2', dash: [7, 3] },
  { colour: '--series-3', dash: [10, 3, 2, 3] },
] as const;

type Names = ReadonlyMap<string, string>;

function seriesOf({ planned, lengths, budgets }: SessionTradeOff, names: Names): ChartSeries[] {
  const curves = budgets.map((budget, index): ChartSeries => ({
    key: `budget ${index}`,
    label: budget.isPlanned
      ? `Within what the plan costs, ${budgetWords(budget)}`
      : `${someNames(budget.participantIds, names)}: ${budgetWords(budget)}`,
    colour: looks[index % looks.length]?.colour ?? '--ink',
    dash: looks[index % looks.length]?.dash ?? [],
    width: 1.75,
    values: budget.leastNoise,
  }));
  const point: ChartSeries = {
    key: 'plan',
    label: 'This plan',
    colour: '--ink',
    dash: [],
    width: 2.75,
    points: 'only',
    values: lengths.map((length) => (length === planned?.rounds ? planned.noiseMultiplier : null)),
  };
  return [...curves, point];
}

function sentencesOf({ planned, lengths, budgets, omitted }: SessionTradeOff, names: Names): Sentence[] {
  if (planned === null) return [];
  const at = lengths.indexOf(planned.rounds);
  const rounds = plural(planned.rounds, 'round');
  return [
    ...budgets.map((budget): Sentence => {
      const least = budget.leastNoise[at] ?? null;
      const who = budget.isPlanned ? 'No agreement sets a budget' : someNames(budget.participantIds, names);
      if (budget.isPlanned) {
        return { kind: 'plain', text: `${who}: the curve is for what the plan itself costs, ${budgetWords(budget)}.` };
      }
      if (least === null) {
        const text = `${who}: no noise keeps ${rounds} within ${budgetWords(budget)}: it is used up, or evaluations alone cost more.`;
        return { kind: 'bad', text };
      }
      const text = `${who}: ${rounds} within ${budgetWords(budget)} take noise of ${multiplier(least)} at least; ${multiplier(planned.noiseMultiplier)} is planned${budget.holds ? '' : ', which is too little'}.`;
      return { kind: budget.holds ? 'good' : 'bad', text };
    }),
    ...(omitted === 0
      ? []
      : [
          {
            kind: 'plain',
            text: `${plural(omitted, 'budget')} that leave more room are not drawn.`,
          } satisfies Sentence,
        ]),
  ];
}

/** @returns a panel that asks for a session's trade-off when it is shown. */
export function createTradeOffPanel(): Part<SessionView> {
  const chart = createChartPanel({
    kind: 'lines',
    title: 'Noise by number of rounds',
    className: 'trade-off',
    explanation: 'The least noise that so many rounds need to keep to a budget. Plans on the curve or above it do.',
    range: (_, max) => [0, max * 1.08],
    axisValue: (value) => Number(value.toPrecision(3)).toString(),
    value: multiplier,
    across: { column: 'Rounds', at: (rounds) => plural(rounds, 'round'), none: 'No noise to compare' },
  });
  const sentences = sentenceList();
  chart.element.append(sentences.element);
  const nothing = (_view: SessionView, empty: string): void => {
    chart.update({ rounds: [], lastRound: 1, series: [], empty });
    sentences.update([]);
  };
  const update = askedOnce(sessionTradeOff, {
    waiting: (view) => nothing(view, 'Being worked out: it may take some seconds…'),
    failed: nothing,
    known(view, tradeOff) {
      const names = namesOf(view.participants.map(({ participantId }) => participantId));
      chart.update({
        rounds: tradeOff.lengths,
        lastRound: tradeOff.lengths.at(-1) ?? 1,
        series: tradeOff.planned === null ? [] : seriesOf(tradeOff, names),
        shown: tradeOff.lengths.indexOf(tradeOff.planned?.rounds ?? 0),
        empty:
          view.plan.privacy === null
            ? 'This session trains without differential privacy: there is no noise to choose.'
            : 'What a round costs cannot be stated: what the session promises says why.',
      });
      sentences.update(sentencesOf(tradeOff, names));
    },
  });
  return { element: chart.element, update };
}
