/** Everything that went wrong in a session, in the words of whoever said so. Pure. */
import type { SessionView } from '../../session/view.ts';
import { droppedWords } from './words.ts';

export interface Message {
  readonly key: string;
  /** Participant id; null when the coordinator itself says it. */
  readonly participantId: string | null;
  readonly what: 'refused' | 'missed' | 'dropped' | 'abandoned' | 'note' | 'failed';
  readonly firstRound: number | null;
  readonly lastRound: number | null;
  /** When it was said last, as far as that is known. */
  readonly at: string | null;
  readonly words: string;
}

function roundMessages(view: SessionView): Message[] {
  return view.rounds.flatMap((round) => {
    const at = round.endedAt ?? round.startedAt;
    const same = { firstRound: round.round, lastRound: round.round, at, key: '' };
    const messages: Message[] = [];
    for (const [participantId, { status, reason, droppedAt }] of Object.entries(round.contributions)) {
      if (status === 'refused') {
        messages.push({ ...same, participantId, what: 'refused', words: reason ?? 'No reason was given.' });
      } else if (droppedAt !== null) {
        const why = status === 'missed' && reason !== null ? `${reason.replace(/[.\s]+$/, '')}: it` : 'It';
        const words = `${why} ${droppedWords(droppedAt, round.phase)}.`;
        messages.push({ ...same, participantId, what: status === 'received' ? 'dropped' : 'missed', words });
      } else if (status === 'missed' && reason !== null) {
        messages.push({ ...same, participantId, what: 'missed', words: reason });
      }
    }
    if (round.phase === 'abandoned') {
      const words = round.reason ?? 'It ended without output.';
      messages.push({ ...same, participantId: null, what: 'abandoned', words });
    }
    return messages;
  });
}

/** The same words of the same participant in rounds that follow each other become one message. */
function joined(messages: readonly Message[]): Message[] {
  const open = new Map<string, number>();
  const result: Message[] = [];
  for (const message of messages) {
    const key = JSON.stringify([message.participantId, message.what, message.words]);
    const index = open.get(key);
    const earlier = index === undefined ? undefined : result[index];
    if (index !== undefined && earlier !== undefined && message.firstRound === (earlier.lastRound ?? 0) + 1) {
      result[index] = { ...earlier, lastRound: message.lastRound, at: message.at };
    } else {
      open.set(key, result.length);
      result.push({ ...message, key: `${key} ${message.firstRound}` });
    }
  }
  return result;
}

/** @returns what went wrong, newest first: failures, refusals, rounds without output, notes about participants. */
export function messagesOf(view: SessionView): readonly Message[] {
  const rounds = joined(roundMessages(view)).toReversed();
  const said = new Set(rounds.map((message) => `${message.participantId} ${message.words}`));
  const about = { firstRound: null, lastRound: null, at: null };
  const notes = view.participants
    .filter(({ participantId, note }) => note !== null && note !== '' && !said.has(`${participantId} ${note}`))
    .map(({ participantId, note, lastSeenAt }): Message => {
      const words = note ?? '';
      return { ...about, key: `note ${participantId}`, participantId, what: 'note', words, at: lastSeenAt };
    });
  const failure: Message[] =
    view.state === 'failed' && view.reason !== null
      ? [{ ...about, key: 'failed', participantId: null, what: 'failed', words: view.reason, at: view.updatedAt }]
      : [];
  const newestFirst = [...notes, ...rounds].sort((a, b) => (b.at ?? '').localeCompare(a.at ?? ''));
  return [...failure, ...newestFirst];
}

/**
 * What a participant's own node refused, if it refuses now: in the newest round that it was asked in, or as a whole.
 */
export function standingRefusal(
  view: SessionView,
  participantId: string,
): { readonly round: number | null; readonly words: string } | null {
  const asked = view.rounds.findLast((round) => round.contributions[participantId] !== undefined);
  const last = asked?.contributions[participantId];
  if (asked !== undefined && last?.status === 'refused') {
    return { round: asked.round, words: last.reason ?? 'No reason was given.' };
  }
  const participant = view.participants.find((one) => one.participantId === participantId);
  if (participant?.status !== 'refused') return null;
  return { round: null, words: participant.note ?? 'No reason was given.' };
}
