import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Trainer } from './trainer.ts';
import { createTrainerPool } from './trainer-pool.ts';

const never = new AbortController().signal;
const none = new Float32Array(0);
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Trainers that say when they live, and that fail when they are used after their end or disposed of in use. */
function factory() {
  const seen = { live: 0, most: 0, started: [] as string[], disposed: [] as string[] };
  const start =
    (name: string, work: () => Promise<void> = tick) =>
    async (): Promise<Trainer> => {
      seen.live += 1;
      seen.most = Math.max(seen.most, seen.live);
      seen.started.push(name);
      let [inUse, isOver] = [0, false];
      const used = async <T>(result: T): Promise<T> => {
        if (isOver) throw new Error(`${name} was used after its end`);
        inUse += 1;
        try {
          await work();
        } finally {
          inUse -= 1;
        }
        return result;
      };
      await tick();
      return {
        trainRound: (_, round) => used({ update: none, seconds: round }),
        evaluate: () => used({ auc: 0.5, logLoss: 0.5 }),
        histogram: () => used({ negatives: [1], positives: [1] }),
        async [Symbol.asyncDispose]() {
          if (inUse > 0) throw new Error(`${name} was disposed of in use`);
          await tick();
          isOver = true;
          seen.live -= 1;
          seen.disposed.push(name);
        },
      };
    };
  return { seen, start };
}

test('ten sessions train at three places: no more trainers live than that, none is disposed of in use, all finish', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 10, maxLength: 10 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 }),
      async (rounds, pauses) => {
        const pool = createTrainerPool(3);
        const { seen, start } = factory();
        const sessions = rounds.map(async (count, i) => {
          const slow = async (): Promise<void> => {
            for (let n = 0; n <= pauses[i % pauses.length]!; n++) await tick();
          };
          const trainer = pool.trainer(start(`session ${i}`, slow));
          for (let round = 1; round <= count; round++) {
            expect(await trainer.trainRound(none, round, { signal: never })).toEqual({ update: none, seconds: round });
            await trainer.evaluate(none, { signal: never });
            await slow();
          }
          await trainer[Symbol.asyncDispose]();
        });
        await Promise.all(sessions);
        expect(seen.most).toBe(3);
        expect(seen.live).toBe(0);
        expect(new Set(seen.started).size).toBe(10);
      },
    ),
    { numRuns: 30 },
  );
});

test('a place goes to whoever needs one from the trainer that was idle for longest; that one is started again', async () => {
  const pool = createTrainerPool(2);
  const { seen, start } = factory();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => pool.trainer(start(name))) as [Trainer, Trainer, Trainer];
  await a.evaluate(none, { signal: never });
  await b.evaluate(none, { signal: never });
  await a.histogram(none, 1, { signal: never });
  await c.evaluate(none, { signal: never });
  expect(seen.disposed).toEqual(['b']);
  await b.evaluate(none, { signal: never });
  expect(seen.disposed).toEqual(['b', 'a']);
  expect(seen.started).toEqual(['a', 'b', 'c', 'b']);
});

test('who gives up waiting takes no place, and who fails gives its own back', async () => {
  const pool = createTrainerPool(1);
  const { seen, start } = factory();
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const slow = pool.trainer(start('slow', () => held));
  const training = slow.trainRound(none, 1, { signal: never });
  await tick();
  const impatient = new AbortController();
  const waiting = pool.trainer(start('impatient')).trainRound(none, 1, { signal: impatient.signal });
  const next = pool.trainer(start('next')).trainRound(none, 2, { signal: never });
  await tick();
  impatient.abort(new Error('The session is over.'));
  await expect(waiting).rejects.toThrow('The session is over.');
  letGo();
  await training;
  expect((await next).seconds).toBe(2);
  const broken = pool.trainer(() => Promise.reject(new Error('no rows')));
  await expect(broken.evaluate(none, { signal: never })).rejects.toThrow('no rows');
  const lost = pool.trainer(start('lost', () => Promise.reject(new Error('the thread is gone'))));
  await expect(lost.evaluate(none, { signal: never })).rejects.toThrow('the thread is gone');
  expect(await slow.evaluate(none, { signal: never })).toMatchObject({ auc: 0.5 });
  expect(seen.started).toEqual(['slow', 'next', 'lost', 'slow']);
  expect(seen.most).toBe(1);
});
