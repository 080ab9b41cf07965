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

test('a participant may send many requests at once and then so many a second; another one has its own', () => {
  let ms = 0;
  const presence = createPresence({ awayAfterMs: 1_000, now: () => new Date(ms), onAway: () => {} });
  const answered = (participantId: string, count: number): number =>
    Array.from({ length: count }, () => presence.count('s', participantId)).filter((wait) => wait === 0).length;
  expect(answered('a', 5_000)).toBe(2_000);
  expect(presence.count('s', 'a')).toBe(1);
  expect(answered('b', 1)).toBe(1);
  // A round in ten milliseconds, over and over, is not held up.
  for (let round = 0; round < 1_000; round++) {
    ms += 10;
    expect(answered('a', 10)).toBe(10);
  }
  expect(presence.count('s', 'a')).toBe(1);
  ms -= 60_000;
  expect(presence.count('s', 'a')).toBe(1);
  ms += 500;
  expect(answered('a', 1_000)).toBe(500);
  ms += 3_600_000;
  expect(answered('a', 5_000)).toBe(2_000);
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
