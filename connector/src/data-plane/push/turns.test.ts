import { expect, it } from 'vitest';
import { createTurns } from './turns.ts';

const never = new AbortController().signal;

it('gives so many turns to a party at a time, in order, and others are not concerned', async () => {
  const turns = createTurns(2);
  const order: string[] = [];
  const take = async (name: string, party = 'a') => {
    const turn = await turns.take(party, never);
    order.push(name);
    return turn;
  };
  const first = await take('first');
  await take('second');
  const third = take('third');
  const fourth = take('fourth');
  await take('other', 'b');
  expect(order).toEqual(['first', 'second', 'other']);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  await fourth;
  expect(order).toEqual(['first', 'second', 'other', 'third', 'fourth']);
});

it('gives the turn of who has gone away to the next', async () => {
  const turns = createTurns(1);
  const first = await turns.take('a', never);
  const leaving = new AbortController();
  const second = turns.take('a', leaving.signal);
  const third = turns.take('a', never);
  leaving.abort(new Error('stopped'));
  await expect(second).rejects.toThrow('stopped');
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  (await turns.take('a', never))[Symbol.dispose]();
  await expect(turns.take('a', AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
});
