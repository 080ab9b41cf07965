import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

const never = new AbortController().signal;

test('so many of a key are in at the same time, in the order in which they came; other keys do not wait for them', async () => {
  const turns = createTurns(2);
  const events: string[] = [];
  const enter = (key: string, name: string, signal = never) =>
    turns(key, signal).then((leave) => {
      events.push(name);
      return leave;
    });
  const first = await enter('a', 'first');
  const second = await enter('a', 'second');
  const third = enter('a', 'third');
  const impatient = new AbortController();
  const fourth = enter('a', 'fourth', impatient.signal);
  const fifth = enter('a', 'fifth');
  (await enter('b', 'other'))();
  expect(events).toEqual(['first', 'second', 'other']);
  impatient.abort(new Error('no more'));
  await expect(fourth).rejects.toThrow('no more');
  first();
  // Twice is once: nobody gets in by that.
  first();
  await third;
  expect(events).toEqual(['first', 'second', 'other', 'third']);
  second();
  (await fifth)();
  (await third)();
  const again = [await enter('a', 'again'), await enter('a', 'again')];
  for (const leave of again) leave();
  expect(events.slice(4)).toEqual(['fifth', 'again', 'again']);
  await expect(turns('a', AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
});
