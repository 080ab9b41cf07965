import { expect, test } from 'vitest';
import { createPresence } from './presence.ts';

const tracked = (awayAfterMs: number) => {
  const { promise: away, resolve } = Promise.withResolvers<string>();
  const gone: string[] = [];
  const presence = createPresence({
    awayAfterMs,
    now: () => new Date(0),
    onAway: (sessionId, participantId) => {
      gone.push(`${sessionId} ${participantId}`);
      resolve(participantId);
    },
  });
  return { presence, away, gone };
};

test('a participant whose last request has ended is away after the time for it', async () => {
  const { presence, away } = tracked(5);
  presence.enter('s', 'a')();
  expect(await away).toBe('a');
});

test('a participant with an open request is not away, however long it lasts', async () => {
  const { presence, away, gone } = tracked(5);
  const leave = presence.enter('s', 'a');
  presence.enter('s', 'a')();
  presence.expect('s', 'b');
  // b began to be silent last: when it is away, a would have been before.
  expect(await away).toBe('b');
  expect(gone).toEqual(['s b']);
  leave();
  presence[Symbol.dispose]();
});

test('ending a request twice counts once', () => {
  const { presence, gone } = tracked(1_000);
  const leave = presence.enter('s', 'a');
  const other = presence.enter('s', 'a');
  leave();
  leave();
  expect(gone).toEqual([]);
  other();
  presence.setPhase('s', 'a', 'training');
  expect(presence.of('s', 'a')).toEqual({ lastSeenAt: new Date(0), phase: 'training' });
  presence[Symbol.dispose]();
});
