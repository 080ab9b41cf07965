/** Rounds under secure aggregation: the step that one is at, who is in the sum, and who dropped out at which step. */
import type { SecureStep } from '@foedus/fl-core';
import type { RoundView, SessionView } from '../../session/view.ts';
import { h, list, panel, setAttribute, setText } from './element.ts';
import type { Part } from './element.ts';
import { icon } from './icons.ts';
import { count, droppedWords, namesOf, plural, roundInProgress } from './words.ts';

const MOST_ROUNDS = 5;
const MOST_DROPPED = 6;

const steps: readonly { readonly step: SecureStep; readonly name: string }[] = [
  { step: 'keys', name: 'Keys' },
  { step: 'shares', name: 'Shares' },
  { step: 'input', name: 'Masked updates' },
  { step: 'confirmation', name: 'Confirmation' },
  { step: 'unmasking', name: 'Unmasking' },
];

const indexOf = (step: SecureStep | null): number => steps.findIndex((one) => one.step === step);

function stepItem(index: number): Part<RoundView['secure']> {
  const name = steps[index]?.name ?? '';
  const sign = h(
    'span',
    { class: 'step-sign', 'aria-hidden': 'true' },
    icon('completed'),
    h('span', {}, count(index + 1)),
  );
  const answers = h('span', { class: 'second-line' });
  const element = h('li', {}, sign, h('span', {}, h('span', { class: 'step-name' }, name), answers));
  return {
    element,
    update(secure) {
      const at = secure === null ? -1 : indexOf(secure.step);
      const state = at < 0 ? 'none' : index < at ? 'done' : index === at ? 'current' : 'later';
      setAttribute(element, 'class', state);
      setAttribute(element, 'aria-current', state === 'current' ? 'step' : null);
      const last = Object.values(secure?.answered ?? {});
      const answered = last.filter((one) => indexOf(one) >= index).length;
      const words = `${count(answered)} of ${count(last.length)}${state === 'done' ? ', done' : ''}`;
      setText(answers, state === 'done' || state === 'current' ? words : '');
    },
  };
}

/** What the round under way needs, in words. */
function needs(view: SessionView, secure: RoundView['secure']): string {
  if (secure === null) {
    const isOver = view.state === 'completed' || view.state === 'stopped' || view.state === 'failed';
    return isOver ? 'No round is under way.' : 'No round is under way: one begins with everybody who is there.';
  }
  const members = Object.keys(secure.answered).length;
  return (
    `${plural(members, 'member')} began this round. It has output with ${count(secure.minimumCohort)} or more in the sum; ` +
    `shares of ${count(secure.threshold)} are needed to take a mask off.`
  );
}

interface Row {
  readonly round: RoundView;
  readonly names: ReadonlyMap<string, string>;
}

function droppedOf({ round, names }: Row): string[] {
  return Object.entries(round.contributions).flatMap(([id, { status, droppedAt }]) => {
    const name = names.get(id) ?? id;
    if (status === 'refused') return [`${name} refused`];
    if (droppedAt === null) return [];
    return [`${name} ${droppedWords(droppedAt, round.phase)}`];
  });
}

function outputWords({ phase, reason, secure }: RoundView): string {
  if (phase === 'abandoned') return `No output: ${reason?.replace(/^Round \d+: /, '') ?? 'no reason is known.'}`;
  if (phase === 'done' || phase === 'evaluating') return 'A new model.';
  return secure === null ? 'Under way.' : `Under way: ${steps[indexOf(secure.step)]?.name.toLowerCase() ?? ''}.`;
}

function roundRow(): Part<Row> {
  const round = h('th', { scope: 'row' });
  const inSum = h('td');
  const output = h('p');
  const dropped = h('ul', { class: 'dropped' });
  const updateDropped = list<string>(
    dropped,
    (words) => words,
    (words) => ({ element: h('li', {}, words), update: () => {} }),
  );
  return {
    element: h('tr', {}, round, inSum, h('td', {}, output, dropped)),
    update(row) {
      const all = Object.values(row.round.contributions);
      const received = all.filter(({ status }) => status === 'received').length;
      setText(round, count(row.round.round));
      setText(inSum, `${count(received)} of ${count(all.length)}`);
      setText(output, outputWords(row.round));
      setAttribute(output, 'class', row.round.phase === 'abandoned' ? 'without-output' : null);
      const words = droppedOf(row);
      const more = words.length > MOST_DROPPED ? [`and ${count(words.length - MOST_DROPPED)} more`] : [];
      updateDropped([...words.slice(0, MOST_DROPPED), ...more]);
    },
  };
}

/** Of whom the coordinator may begin a round with: fl-core/src/secure-aggregation/README.md. */
const TRUST = {
  'active-server': 'whatever it sends, while fewer than a third of the minimum cohort are in league with it',
  'honest-server': 'as long as it follows the protocol and few of the minimum cohort are in league with it',
} as const;

/** @returns a panel for sessions whose updates are summed under masks; hidden for others */
export function createSecurePanel(): Part<SessionView> {
  const explanation = h('p', { class: 'explanation' });
  const items = steps.map((_, index) => stepItem(index));
  const words = h('p', { class: 'step-words' });
  const body = h('tbody');
  const updateRows = list<Row>(body, ({ round }) => String(round.round), roundRow);
  const columns = ['Round', 'In the sum', 'What came of it'].map((name) => h('th', { scope: 'col' }, name));
  const caption = h('caption', { class: 'for-screen-readers' }, 'Newest rounds: members in the sum and members lost');
  const table = h('table', {}, caption, h('thead', {}, h('tr', {}, ...columns)), body);
  const element = panel(
    'Secure aggregation',
    'secure',
    explanation,
    h('ol', { class: 'steps', 'aria-label': 'Steps of the round' }, ...items.map((one) => one.element)),
    words,
    table,
  );
  return {
    element,
    update(view) {
      const { secureAggregation } = view.plan;
      element.hidden = secureAggregation === null;
      if (secureAggregation === null) return;
      const trust = TRUST[secureAggregation.mode];
      setText(explanation, `The coordinator sees the sum of a round and nobody’s update, ${trust}.`);
      const secure = roundInProgress(view)?.secure ?? null;
      for (const one of items) one.update(secure);
      setText(words, needs(view, secure));
      const names = namesOf(view.participants.map(({ participantId }) => participantId));
      table.hidden = view.rounds.length === 0;
      updateRows(
        view.rounds
          .slice(-MOST_ROUNDS)
          .toReversed()
          .map((round) => ({ round, names })),
      );
    },
  };
}
