/** Who takes part, and what each partner is doing now. */
import type { ParticipantView, RoundView, SessionView } from '../../session/view.ts';
import { h, list, panel, setAttribute, setText } from './element.ts';
import type { Part } from './element.ts';
import { statusBadge } from './state-badge.ts';
import { answeredWords, bytes, duration, namesOf, phaseWords, plural, roundInProgress, time } from './words.ts';

interface Row {
  readonly participant: ParticipantView;
  readonly name: string;
  /** Whether the session has ended: then nobody is doing anything. */
  readonly ended: boolean;
  readonly round: RoundView | null;
  /** The newest round that it contributed to. */
  readonly last: RoundView | null;
}

/** What it is doing, in words; empty when there is nothing to say beyond its status. */
function doing({ participant, round, ended }: Row): string {
  if (ended || participant.status === 'refused' || participant.status === 'departed') return '';
  const inRound = round === null ? undefined : round.contributions[participant.participantId];
  if (inRound !== undefined && inRound.droppedAt !== null) return 'out of this round';
  if (participant.phase !== null && participant.phase !== 'waiting') return phaseWords[participant.phase];
  const answered = answeredWords(round?.secure?.answered[participant.participantId] ?? null);
  if (answered !== '') return `${answered}, waiting`;
  if (inRound?.status === 'received' && round?.phase === 'training') return 'update received, waiting';
  return participant.phase === null ? '' : phaseWords[participant.phase];
}

/** Of its newest update: how long it trained and how much it sent. */
function lastUpdate({ participant, last }: Row): string {
  const contribution = last?.contributions[participant.participantId];
  if (contribution === undefined) return '';
  const { trainingSeconds, bytes: sent } = contribution;
  // Under masks nobody says how long it trained.
  return trainingSeconds === null ? bytes(sent) : `${duration(trainingSeconds)}, ${bytes(sent)}`;
}

function participantRow(): Part<Row> {
  const name = h('span', { class: 'name' });
  const rounds = h('span', { class: 'second-line' });
  const status = statusBadge();
  const now = h('span', { class: 'second-line' });
  const seen = h('span');
  const update = h('span', { class: 'second-line' });
  const element = h(
    'tr',
    {},
    h('th', { scope: 'row' }, name, rounds),
    h('td', {}, status.element, now),
    h('td', { class: 'number' }, seen, update),
  );
  return {
    element,
    update(row) {
      setText(name, row.name);
      setAttribute(name, 'title', row.participant.participantId);
      setText(rounds, plural(row.participant.roundsContributed, 'round'));
      status.update(row.ended && row.participant.status === 'enrolled' ? 'finished' : row.participant.status);
      setText(now, doing(row));
      setText(seen, time(row.participant.lastSeenAt, new Date()));
      setText(update, lastUpdate(row));
    },
  };
}

/** @returns a panel with one row for each participant. */
export function createParticipantsPanel(): Part<SessionView> {
  const body = h('tbody');
  const head = h(
    'tr',
    {},
    h('th', { scope: 'col' }, 'Partner'),
    h('th', { scope: 'col' }, 'Now'),
    h('th', { scope: 'col', class: 'number' }, 'Last seen, last update'),
  );
  const caption = h('caption', { class: 'for-screen-readers' }, 'Partners, what each is doing now, and its rounds');
  const updateRows = list<Row>(body, (row) => row.participant.participantId, participantRow);
  return {
    element: panel('Partners', 'participants', h('table', {}, caption, h('thead', {}, head), body)),
    update(view) {
      const names = namesOf(view.participants.map((participant) => participant.participantId));
      const round = roundInProgress(view);
      const ended = view.state === 'completed' || view.state === 'stopped' || view.state === 'failed';
      updateRows(
        view.participants.map((participant) => {
          const { participantId } = participant;
          return {
            participant,
            name: names.get(participantId) ?? participantId,
            ended,
            round,
            last: view.rounds.findLast((one) => one.contributions[participantId]?.status === 'received') ?? null,
          };
        }),
      );
    },
  };
}
