import { describe, expect, it } from 'vitest';
import type { ParticipantView, RoundView, SessionView } from '../../session/view.ts';
import { messagesOf, standingRefusal } from './refusals.ts';

type Contribution = RoundView['contributions'][string];

function contribution(status: Contribution['status'], reason: string | null = null): Contribution {
  return { status, reason, trainingSeconds: null, bytes: null, auc: null, logLoss: null, droppedAt: null };
}

function round(number: number, contributions: RoundView['contributions'], rest: Partial<RoundView> = {}): RoundView {
  const startedAt = new Date(Date.UTC(2026, 0, 1, 0, number)).toISOString();
  const mean = { auc: null, logLoss: null };
  return {
    round: number,
    phase: 'done',
    startedAt,
    endedAt: startedAt,
    durations: {},
    contributions,
    secure: null,
    mean,
    reason: null,
    ...rest,
  };
}

function participant(participantId: string, rest: Partial<ParticipantView> = {}): ParticipantView {
  return {
    participantId,
    agreementId: 'urn:a',
    transferId: null,
    status: 'enrolled',
    note: null,
    phase: null,
    lastSeenAt: null,
    privacy: null,
    roundsContributed: 0,
    ...rest,
  };
}

function session(rounds: readonly RoundView[], participants: readonly ParticipantView[]): SessionView {
  return { state: 'running', reason: null, rounds, participants, updatedAt: '2026-01-01T00:00:00Z' } as SessionView;
}

describe('of a round under secure aggregation', () => {
  const dropped = (
    status: Contribution['status'],
    droppedAt: Contribution['droppedAt'],
    reason: string | null = null,
  ): Contribution => ({ ...contribution(status, reason), droppedAt });

  it('say at which step somebody dropped out, and whether its update counts all the same', () => {
    const rounds = [
      round(1, {
        a: dropped('missed', 'shares', 'No update before the round closed.'),
        b: dropped('received', 'unmasking'),
        c: dropped('received', null),
      }),
      round(
        2,
        {
          a: dropped('waiting', 'keys'),
          b: dropped('refused', 'input', 'No budget.'),
          c: dropped('received', 'unmasking'),
        },
        { phase: 'abandoned' },
      ),
    ];
    const said = messagesOf(session(rounds, [])).map(({ participantId, what, firstRound, words }) => [
      firstRound,
      participantId,
      what,
      words,
    ]);
    expect(said).toHaveLength(6);
    expect(said).toEqual(
      expect.arrayContaining([
        [1, 'a', 'missed', 'No update before the round closed: it shared no secrets.'],
        [1, 'b', 'dropped', 'It did not help to take the masks off; its update counts.'],
        [2, 'a', 'missed', 'It sent no keys.'],
        [2, 'b', 'refused', 'No budget.'],
        // Without output nothing counts.
        [2, 'c', 'dropped', 'It did not help to take the masks off.'],
        [2, null, 'abandoned', 'It ended without output.'],
      ]),
    );
  });
});

describe('what went wrong', () => {
  it('is nothing when everybody contributed', () => {
    expect(messagesOf(session([round(1, { a: contribution('received') })], [participant('a')]))).toEqual([]);
  });

  it('joins the same refusal in rounds that follow each other, newest first', () => {
    const spent = contribution('refused', 'The budget is spent.');
    const rounds = [1, 2, 3, 5].map((number) => round(number, { a: spent }));
    expect(messagesOf(session(rounds, [participant('a')])).map((one) => [one.firstRound, one.lastRound])).toEqual([
      [5, 5],
      [1, 3],
    ]);
  });

  it('keeps different words and different participants apart', () => {
    const rounds = [
      round(1, { a: contribution('refused', 'One.'), b: contribution('refused', 'One.') }),
      round(2, { a: contribution('refused', 'Two.'), b: contribution('received') }),
    ];
    expect(messagesOf(session(rounds, [participant('a'), participant('b')]))).toHaveLength(3);
  });

  it('names rounds without output and their reason', () => {
    const abandoned = round(4, {}, { phase: 'abandoned', reason: 'Only 1 update arrived.' });
    expect(messagesOf(session([abandoned], []))).toMatchObject([
      { what: 'abandoned', words: 'Only 1 update arrived.' },
    ]);
  });

  it('does not say a participant’s note again when a round says the same', () => {
    const rounds = [round(1, { a: contribution('refused', 'The budget is spent.') })];
    const participants = [participant('a', { status: 'refused', note: 'The budget is spent.' })];
    expect(messagesOf(session(rounds, participants))).toHaveLength(1);
  });

  it('begins with the failure of the session', () => {
    const rounds = [round(1, { a: contribution('refused', 'No.') })];
    const failed = {
      ...session(rounds, [participant('a')]),
      state: 'failed',
      reason: 'Nobody is left.',
    } as SessionView;
    expect(messagesOf(failed)[0]).toMatchObject({ what: 'failed', words: 'Nobody is left.' });
  });
});

describe('the refusal shown with a budget', () => {
  it('is that of the newest round, in the node’s words', () => {
    const rounds = [round(1, { a: contribution('received') }), round(2, { a: contribution('refused', 'Spent.') })];
    expect(standingRefusal(session(rounds, [participant('a')]), 'a')).toEqual({ round: 2, words: 'Spent.' });
  });

  it('is gone when the participant contributes again', () => {
    const rounds = [round(1, { a: contribution('refused', 'Spent.') }), round(2, { a: contribution('received') })];
    expect(standingRefusal(session(rounds, [participant('a')]), 'a')).toBeNull();
  });

  it('is the note of a participant that refused before any round', () => {
    const participants = [participant('a', { status: 'refused', note: 'The plan is another one.' })];
    expect(standingRefusal(session([], participants), 'a')).toEqual({ round: null, words: 'The plan is another one.' });
  });
});
