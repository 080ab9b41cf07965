import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Recruit, type SessionEvent, canTransition, recruitingVerdict, transition } from './session-machine.ts';
import { type SessionState, sessionStates } from './view.ts';

const events: readonly SessionEvent[] = ['start', 'recruited', 'pause', 'resume', 'stop', 'extend', 'complete', 'fail'];

/** The whole table once more, as a person would write it down; everything else is refused. */
const allowed: readonly (readonly [SessionState, SessionEvent, SessionState])[] = [
  ['planned', 'start', 'recruiting'],
  ['planned', 'stop', 'stopped'],
  ['planned', 'extend', 'planned'],
  ['recruiting', 'recruited', 'running'],
  ['recruiting', 'stop', 'stopped'],
  ['recruiting', 'extend', 'recruiting'],
  ['recruiting', 'fail', 'failed'],
  ['running', 'pause', 'paused'],
  ['running', 'stop', 'stopped'],
  ['running', 'extend', 'running'],
  ['running', 'complete', 'completed'],
  ['running', 'fail', 'failed'],
  ['paused', 'resume', 'running'],
  ['paused', 'stop', 'stopped'],
  ['paused', 'extend', 'paused'],
  ['paused', 'fail', 'failed'],
  ['completed', 'extend', 'recruiting'],
  ['failed', 'start', 'recruiting'],
];

describe('the states of a session', () => {
  const cases = sessionStates.flatMap((state) => events.map((event) => ({ state, event })));
  test.each(cases)('$state, $event', ({ state, event }) => {
    const row = allowed.find(([from, by]) => from === state && by === event);
    expect(canTransition(state, event)).toBe(row !== undefined);
    if (row === undefined)
      expect(() => transition(state, event)).toThrow(expect.objectContaining({ code: 'conflict' }));
    else expect(transition(state, event)).toBe(row[2]);
  });

  test('a refusal says what can be done instead', () => {
    expect(() => transition('completed', 'start')).toThrow('It can be extended by more rounds.');
    expect(() => transition('stopped', 'resume')).toThrow('Plan a new session instead.');
  });
});

describe('recruiting', () => {
  const recruit = (participantId: string, status: Recruit['status'], note: string | null = null): Recruit => ({
    participantId,
    status,
    note,
  });

  test('runs when everybody who has not left is enrolled', () => {
    const participants = [recruit('a', 'enrolled'), recruit('b', 'enrolled'), recruit('c', 'departed', 'No.')];
    expect(recruitingVerdict(participants, 2, false)).toEqual({ kind: 'run' });
  });

  test('waits for those who are missing, and names them', () => {
    const participants = [recruit('a', 'enrolled'), recruit('b', 'enrolled'), recruit('c', 'invited')];
    expect(recruitingVerdict(participants, 2, false)).toEqual({ kind: 'wait', reason: 'Waiting for c to enrol.' });
  });

  test('does not wait for them when the time is over and the minimum cohort is there', () => {
    const participants = [recruit('a', 'enrolled'), recruit('b', 'enrolled'), recruit('c', 'invited')];
    expect(recruitingVerdict(participants, 2, true)).toEqual({ kind: 'run' });
    expect(recruitingVerdict(participants, 3, true).kind).toBe('wait');
  });

  test('fails with the reasons when too few can come', () => {
    const participants = [recruit('a', 'enrolled'), recruit('b', 'departed', 'Agreement expired.')];
    expect(recruitingVerdict(participants, 2, false)).toEqual({
      kind: 'fail',
      reason: '1 of at least 2 participants can take part. b: Agreement expired.',
    });
  });

  test('never runs below the minimum cohort, and never gives up while it is in reach', () => {
    const status = fc.constantFrom<Recruit['status']>('invited', 'enrolled', 'away', 'refused', 'departed');
    fc.assert(
      fc.property(
        fc.array(status, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 8 }),
        fc.boolean(),
        (all, minimum, over) => {
          const participants = all.map((one, i) => recruit(`p${i}`, one));
          const here = all.filter((one) => one === 'enrolled' || one === 'refused').length;
          const gone = all.filter((one) => one === 'departed').length;
          const verdict = recruitingVerdict(participants, minimum, over);
          if (verdict.kind === 'run') expect(here).toBeGreaterThanOrEqual(minimum);
          expect(verdict.kind === 'fail').toBe(all.length - gone < minimum);
        },
      ),
    );
  });
});
