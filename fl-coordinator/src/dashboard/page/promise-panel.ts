/** What a session promises before and while it runs: ε of each partner by round beside its limit, and plain sentences. */
import type { PartnerPromise, SessionPromise } from '@foedus/fl-core';
import type { SessionView } from '../../session/view.ts';
import { askedOnce } from './asked.ts';
import { createChartPanel } from './chart-panel.ts';
import type { Part } from './element.ts';
import { sessionPromise } from './operator-api.ts';
import type { ChartSeries } from './round-chart.ts';
import { sentenceList } from './sentences.ts';
import type { Sentence } from './sentences.ts';
import { delta, epsilonSpent, namesOf, someNames } from './words.ts';

/** Of each curve: colour and dash, so that neither is needed to tell them apart. */
const looks = [
  { colour: '--series-1', dash: [] },
  { colour: '--series-2', dash: [7, 3] },
  { colour: '--series-3', dash: [10, 3, 2, 3] },
  { colour: '--series-4', dash: [4, 2] },
  { colour: '--series-5', dash: [12, 4] },
] as const;

const limitDashes = [
  [2, 3],
  [8, 4],
  [1, 6],
  [14, 4, 2, 4],
] as const;

/** Partners whose rows pay the same are one curve, and their limit one line. */
function seriesOf({ partners }: SessionPromise): { rounds: number[]; series: ChartSeries[] } {
  const names = namesOf(partners.map(({ participantId }) => participantId));
  const rounds = (partners.find(({ byRound }) => byRound.length > 0)?.byRound ?? [])
    .map(({ round }) => round)
    .filter((round) => round > 0);
  const together = (keyOf: (partner: PartnerPromise) => string, all: readonly PartnerPromise[]) =>
    [...Map.groupBy(all, keyOf).values()].map((same) => {
      const ids = same.map(({ participantId }) => participantId);
      return { first: same[0], label: someNames(ids, names) };
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
  const limits = together(({ limit }) => String(limit), limited).map(({ first, label }, index): ChartSeries => ({
    key: `limit ${label}`,
    label: `Limit of ${label}`,
    colour: '--muted',
    dash: limitDashes[index % limitDashes.length] ?? [],
    // Of a single round there would be nothing to see.
    ...(rounds.length > 1 ? { points: 'none' as const } : {}),
    width: 1.5,
    values: rounds.map(() => first?.limit ?? null),
  }));
  return { rounds, series: [...curves, ...limits] };
}

function sentencesOf({ holds, words, cautions, reasons, partners }: SessionPromise): Sentence[] {
  const names = namesOf(partners.map(({ participantId }) => participantId));
  const why = [
    ...reasons.map((reason) => reason.words),
    ...saidOf(
      partners.flatMap(({ participantId, reasons: own }) => own.map(({ words: said }) => ({ participantId, said }))),
      names,
    ),
  ];
  return [
    holds
      ? { kind: 'good', text: 'The session can be held as planned.' }
      : { kind: 'bad', text: 'The session cannot be held as planned:' },
    ...[...why, ...cautions].map((text): Sentence => ({ kind: 'bad', text })),
    ...words.map((text): Sentence => ({ kind: 'plain', text })),
    ...saidOf(
      partners.flatMap(({ participantId, notes }) => notes.map((said) => ({ participantId, said }))),
      names,
    ).map((text): Sentence => ({ kind: 'plain', text })),
  ];
}

/** Each sentence once, with the partners that it is said of. */
function saidOf(
  all: readonly { readonly participantId: string; readonly said: string }[],
  names: ReadonlyMap<string, string>,
): string[] {
  return [...Map.groupBy(all, ({ said }) => said)].map(([said, same]) => {
    const ids = same.map(({ participantId }) => participantId);
    return `${someNames(ids, names)}: ${said}`;
  });
}

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
  const sentences = sentenceList();
  chart.element.append(sentences.element);
  const nothing = (view: SessionView, empty: string): void => {
    chart.update({ rounds: [], lastRound: view.plan.rounds, series: [], empty });
    sentences.update([]);
  };
  const update = askedOnce(sessionPromise, {
    waiting: (view) => nothing(view, 'Being worked out…'),
    failed: nothing,
    known(view, promise) {
      const { rounds, series } = seriesOf(promise);
      const empty = 'This session trains without differential privacy: there is no ε to state.';
      chart.update({ rounds, lastRound: view.plan.rounds, series, empty });
      sentences.update(sentencesOf(promise));
    },
  });
  return { element: chart.element, update };
}
