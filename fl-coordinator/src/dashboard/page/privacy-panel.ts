/** What each partner's rows have paid, and what its agreement still allows. */
import type { ParticipantView, SessionView } from '../../session/view.ts';
import { h, list, panel, setText } from './element.ts';
import type { Part } from './element.ts';
import { icon } from './icons.ts';
import { standingRefusal } from './refusals.ts';
import { count, namesOf, privacySentence } from './words.ts';

interface Row {
  readonly participant: ParticipantView;
  readonly name: string;
  readonly refusal: ReturnType<typeof standingRefusal>;
  /** What stands for the numbers while there are none. */
  readonly ifNothing: string;
}

function budgetRow(): Part<Row> {
  const name = h('span', { class: 'budget-name name' });
  const numbers = h('span', { class: 'budget-numbers' });
  const spent = h('span', { class: 'budget-spent' });
  const bar = h('span', { class: 'budget-bar', 'aria-hidden': 'true' }, spent);
  const words = h('span');
  const refusal = h('p', { class: 'refusal', hidden: true }, icon('warning'), words);
  const element = h('li', { class: 'budget' }, h('p', { class: 'budget-line' }, name, numbers), bar, refusal);
  return {
    element,
    update(row) {
      const { privacy, participantId } = row.participant;
      setText(name, row.name);
      name.title = participantId;
      setText(numbers, privacy === null ? row.ifNothing : privacySentence(privacy));
      const limit = privacy?.epsilonLimit ?? null;
      const share = privacy === null || limit === null || limit <= 0 ? 0 : privacy.epsilonSpent / limit;
      bar.classList.toggle('unlimited', privacy !== null && limit === null);
      bar.classList.toggle('refused', row.refusal !== null);
      spent.style.width = `${Math.min(100, Math.max(0, share * 100))}%`;
      refusal.hidden = row.refusal === null;
      if (row.refusal !== null) {
        const { round } = row.refusal;
        setText(words, `${round === null ? 'Refused' : `Refused round ${count(round)}`}: ${row.refusal.words}`);
      }
    },
  };
}

/** @returns a panel with a bar and a sentence for each partner. */
export function createPrivacyPanel(): Part<SessionView> {
  const without = h('p', { class: 'nothing' }, 'This session trains without differential privacy: no budget is spent.');
  const rows = h('ul', { class: 'budgets' });
  const updateRows = list<Row>(rows, (row) => row.participant.participantId, budgetRow);
  const explanation = 'ε spent and left, as each partner’s own node stated with its last update.';
  return {
    element: panel('Privacy budget', 'privacy', h('p', { class: 'explanation' }, explanation), without, rows),
    update(view) {
      const names = namesOf(view.participants.map((participant) => participant.participantId));
      without.hidden = view.plan.privacy !== null;
      const all = view.participants.map((participant) => ({
        participant,
        name: names.get(participant.participantId) ?? participant.participantId,
        refusal: standingRefusal(view, participant.participantId),
        ifNothing: view.plan.privacy === null ? '' : 'nothing released yet',
      }));
      // Without noise there are no budgets to show, only what a partner's node refuses.
      updateRows(view.plan.privacy === null ? all.filter(({ refusal }) => refusal !== null) : all);
    },
  };
}
