import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Member, type RoundEvent, evaluationIsComplete, nextPhase, trainingVerdict } from './round-machine.ts';
import { type RoundPhase, roundPhases } from './view.ts';

const events: readonly RoundEvent[] = ['close', 'evaluate', 'finish', 'abandon', 'restart'];
const allowed: readonly (readonly [RoundPhase, RoundEvent, RoundPhase])[] = [
  ['training', 'close', 'aggregating'],
  ['training', 'abandon', 'abandoned'],
  ['training', 'restart', 'training'],
  ['aggregating', 'evaluate', 'evaluating'],
  ['aggregating', 'finish', 'done'],
  ['aggregating', 'abandon', 'abandoned'],
  ['aggregating', 'restart', 'training'],
  ['evaluating', 'finish', 'done'],
  ['evaluating', 'restart', 'evaluating'],
];

describe('the phases of a round', () => {
  const cases = roundPhases.flatMap((phase) => events.map((event) => ({ phase, event })));
  test.each(cases)('$phase, $event', ({ phase, event }) => {
    const row = allowed.find(([from, by]) => from === phase && by === event);
    if (row === undefined) expect(() => nextPhase(phase, event)).toThrow();
    else expect(nextPhase(phase, event)).toBe(row[2]);
  });
});

const member = (
  participantId: string,
  contribution: Member['contribution'],
  status: Member['status'] = 'enrolled',
  reason: string | null = null,
): Member => ({ participantId, contribution, status, reason });
const intime = { isOver: false, seconds: 60 };
const over = { isOver: true, seconds: 60 };

describe('a round in training', () => {
  test('closes when everybody who is there has answered', () => {
    const all = [member('a', 'received'), member('b', 'received'), member('c', 'refused', 'refused', 'No.')];
    expect(trainingVerdict(1, all, 2, intime)).toEqual({ kind: 'close' });
  });

  test('waits for an enrolled participant, although the minimum cohort is reached', () => {
    const all = [member('a', 'received'), member('b', 'received'), member('c', 'waiting')];
    expect(trainingVerdict(1, all, 2, intime)).toEqual({ kind: 'wait' });
  });

  test('does not wait for a participant that is away once the minimum cohort is reached', () => {
    const all = [member('a', 'received'), member('b', 'received'), member('c', 'waiting', 'away')];
    expect(trainingVerdict(1, all, 2, intime)).toEqual({ kind: 'close' });
    expect(trainingVerdict(1, all, 3, intime)).toEqual({ kind: 'wait' });
  });

  test('closes at its timeout with what it has, if that is the minimum cohort', () => {
    const all = [member('a', 'received'), member('b', 'received'), member('c', 'waiting')];
    expect(trainingVerdict(1, all, 2, over)).toEqual({ kind: 'close' });
    expect(trainingVerdict(4, all, 3, over)).toEqual({
      kind: 'abandon',
      reason: 'Round 4: no answer from c within 60 seconds; 2 of at least 3 updates came.',
    });
  });

  test('is abandoned at once when the minimum cohort is out of reach, with the refusal in its own words', () => {
    const all = [
      member('did:web:bdl.example', 'waiting'),
      member('did:web:pvd.example', 'refused', 'refused', 'The privacy budget is spent: ε 8.01 of 8.'),
      member('did:web:tul.example', 'received'),
    ];
    expect(trainingVerdict(25, all, 3, intime)).toEqual({
      kind: 'abandon',
      reason:
        'Round 25: did:web:pvd.example refused: The privacy budget is spent: ε 8.01 of 8; 2 of at least 3 participants are left.',
    });
  });

  test('never closes below the minimum cohort, and at its timeout always ends', () => {
    const one = fc.record({
      status: fc.constantFrom<Member['status']>('invited', 'enrolled', 'away', 'refused', 'departed'),
      contribution: fc.constantFrom<Member['contribution']>('waiting', 'received', 'refused', 'missed'),
    });
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 8 }),
        fc.integer({ min: 1, max: 8 }),
        fc.boolean(),
        (some, minimum, isOver) => {
          const all = some.map(({ status, contribution }, i) => member(`p${i}`, contribution, status));
          const verdict = trainingVerdict(1, all, minimum, { isOver, seconds: 1 });
          const received = some.filter(({ contribution }) => contribution === 'received').length;
          const waiting = some.filter(({ contribution }) => contribution === 'waiting').length;
          if (verdict.kind === 'close') expect(received).toBeGreaterThanOrEqual(minimum);
          if (isOver) expect(verdict.kind).not.toBe('wait');
          if (received + waiting < minimum) expect(verdict.kind).toBe('abandon');
          else if (!isOver) expect(verdict.kind).not.toBe('abandon');
        },
      ),
    );
  });
});

describe('a round in evaluation', () => {
  const evaluated = (one: Member, isEvaluated: boolean) => ({ ...one, evaluated: isEvaluated });

  test('is complete when everybody who trained and is still there has reported', () => {
    const all = [
      evaluated(member('a', 'received'), true),
      evaluated(member('b', 'received', 'departed'), false),
      evaluated(member('c', 'missed'), false),
    ];
    expect(evaluationIsComplete(all, false)).toBe(true);
  });

  test('waits for a report, but not beyond its time', () => {
    const all = [evaluated(member('a', 'received'), false)];
    expect(evaluationIsComplete(all, false)).toBe(false);
    expect(evaluationIsComplete(all, true)).toBe(true);
  });
});
