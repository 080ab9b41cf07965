import { expect, test } from 'vitest';
import { taskOf } from './task.ts';
import { roundPhases, sessionStates } from './view.ts';

const hash = 'ab'.repeat(32);

test('clients train and evaluate only while the session runs', () => {
  for (const state of sessionStates) {
    for (const phase of roundPhases) {
      const { kind } = taskOf({ state, reason: null, seq: 7 }, { round: 3, phase }, hash, 2);
      if (kind === 'train' || kind === 'evaluate') expect(state).toBe('running');
      if (['completed', 'stopped', 'failed'].includes(state)) expect(kind).toBe('done');
    }
  }
});

test('a round in training is a task to train, with the cohort as it is', () => {
  expect(taskOf({ state: 'running', reason: null, seq: 7 }, { round: 3, phase: 'training' }, hash, 2)).toEqual({
    kind: 'train',
    seq: 7,
    round: 3,
    modelHash: hash,
    cohort: 2,
  });
});

test('a session that is over says why', () => {
  const task = taskOf({ state: 'failed', reason: 'Too few.', seq: 9 }, undefined, hash, 0);
  expect(task).toEqual({ kind: 'done', seq: 9, reason: 'Too few.' });
});
