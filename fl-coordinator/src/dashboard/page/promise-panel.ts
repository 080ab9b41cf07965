/** What a session promises before and while it runs: ε of each partner by round beside its limit, and plain sentences. */
import type { PartnerPromise, SessionPromise } from '@foedus/fl-core';
import type { SessionView } from '../../session/view.ts';
import { createChartPanel } from './chart-panel.ts';
import { h, list, setText } from './element.ts';
import type { Part } from './element.ts';
import { icon } from './icons.ts';
import { sessionPromise } from './operator-api.ts';
import type { ChartSeries } from './round-chart.ts';
import { count, delta, epsilonSpent, namesOf } from './words.ts';

/** Of each curve: colour and dash, so that neither is needed to tell them apart. */
const looks = [
  { colour: '--series-1', dash: [] },
  { colour: '--series-2', dash: [7, 3] },
  { colour: '--series-3', dash: [10, 3, 2, 3] },
  { colour: '--series-4', dash: [4, 2] },
  { colour: '--series-5', dash: [12, 4] },
] as const;
const MOST_NAMES = 3;

interface Sentence {
  readonly text: string;
  readonly isReason: boolean;
}

function sentenceItem(first: Sentence): Part<Sentence> {
  const words = h('span');
  const element = h('li', { class: first.isReason ? 'refusal' : '' }, first.isReason ? icon('warning') : null, words);
  return { element, update: ({ text }) => setText(words, text) };
}

/** Partners whose rows pay the same are one curve, and their limit one line. */
function seriesOf({ partners }: SessionPromise): { rounds: number[]; series: ChartSeries[] } {
  const names = namesOf(partners.map(({ participantId }) => participantId));
  const rounds = (partners.find(({ byRound }) => byRound.length > 0)?.byRound ?? [])
    .map(({ round }) => round)
    .filter((round) => round > 0);
  const together = (keyOf: (partner: PartnerPromise) => string, all: readonly PartnerPromise[]) =>
    [...Map.groupBy(all, keyOf).values()].map((same) => {
      const shown = same.slice(0, MOST_NAMES).map(({ participantId }) => names.get(participantId) ?? participantId);
      const more = same.length > MOST_NAMES ? ` and ${count(same.length - MOST_NAMES)} more` : '';
      return { first: same[0], label: `${shown.join(', ')}${more}` };
    });
  const charged = partners.filter(({ byRound }) => byRound.length > 0);
  const curves = together(({ byRound, delta: at }) => JSON.stringify([byRound, at]), charged).map(
    ({ first, label }, index): ChartSeries => ({
      key: `curve ${label}`,
      label: `${label}, at δ ${delta(first?.delta ?? 0)}`,
      colour: looks[index % looks.length]?.colour ?? '--ink',
      dash: looks[index % looks.length]?.dash ?? [],
      width: 1.75,
      values: (first?.byRound ?? []).filter(({ round }) => round > 0).map(({ epsilon }) => epsilon),
    }),
  );
  const limited = partners.filter(({ limit }) => limit !== null);
  const limits = together(({ limit }) => String(limit), limited).map(({ first, label }): ChartSeries => ({
    key: `limit ${label}`,
    label: `Limit of ${label}`,
    colour: '--muted',
    dash: [2, 3],
    width: 1.25,
    values: rounds.map(() => first?.limit ?? null),
  }));
  return { rounds, series: [...curves, ...limits] };
}

function sentencesOf({ words, cautions, reasons, partners }: SessionPromise): Sentence[] {
  const names = namesOf(partners.map(({ participantId }) => participantId));
  const named = partners.flatMap(({ participantId, reasons: own }) =>
    own.map((reason) => `${names.get(participantId) ?? participantId}: ${reason.words}`),
  );
  return [
    ...[...reasons.map((reason) => reason.words), ...named, ...cautions].map((text) => ({ text, isReason: true })),
    ...words.map((text) => ({ text, isReason: false })),
  ];
}

const NO_PROMISE: SessionPromise = {
  holds: true,
  reasons: [],
  partners: [],
  fewest: 0,
  mayDrop: 0,
  ring: null,
  words: [],
  cautions: [],
};

/** @returns a panel that asks for a session's promise when it is shown. */
export function createPromisePanel(): Part<SessionView> {
  const chart = createChartPanel({
    kind: 'lines',
    title: 'Planned ε by round',
    className: 'promise',
    explanation: 'What each partner will have paid after each planned round, and what its agreement allows.',
    range: (_, max) => [0, max * 1.08],
    axisValue: (value) => Number(value.toPrecision(3)).toString(),
    value: (value) => (value === null || value === undefined ? '–' : `ε ${epsilonSpent(value)}`),
  });
  const sentences = h('ul', { class: 'promise-words' });
  const updateSentences = list<Sentence>(sentences, ({ text, isReason }) => `${isReason} ${text}`, sentenceItem);
  chart.element.append(sentences);
  let asked = '';

  const show = (view: SessionView, promise: SessionPromise, empty: string): void => {
    const { rounds, series } = seriesOf(promise);
    chart.update({ rounds, lastRound: view.plan.rounds, series, empty });
    updateSentences(sentencesOf(promise));
  };
  const load = async (view: SessionView): Promise<void> => {
    try {
      const promise = await sessionPromise(view.id);
      const nothing = 'This session trains without differential privacy: there is no ε to state.';
      if (asked === view.id) show(view, promise, nothing);
    } catch (error) {
      if (asked !== view.id) return;
      // Asked again with the next change of the session.
      asked = '';
      show(view, NO_PROMISE, error instanceof Error ? error.message : String(error));
    }
  };
  return {
    element: chart.element,
    update(view) {
      if (asked === view.id) return;
      asked = view.id;
      show(view, NO_PROMISE, 'Being worked out…');
      void load(view);
    },
  };
}
