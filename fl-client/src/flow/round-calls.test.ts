import { FoedusError } from '@foedus/connector/errors';
import type { SignedHead } from '@foedus/connector/operator-client';
import * as fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { Charging } from './charge.ts';
import type { CoordinatorClient } from './coordinator-client.ts';
import { OutOfStep, createRoundCalls } from './round-calls.ts';

const never = new AbortController().signal;
const headAt = (sequence: number): SignedHead =>
  ({ head: { sequence, hash: String(sequence).padStart(64, '0') }, signature: 's' }) as unknown as SignedHead;
const olderThan = (held: SignedHead): FoedusError =>
  new FoedusError('older-head', 'It does not go on from the one that came before.', { details: { ledgerHead: held } });

/** `present` is the own ledger: it is shown a head and answers with its newest. */
const callsWith = (present: Charging['present']) =>
  createRoundCalls({
    coordinator: {} as CoordinatorClient,
    charging: { present } as Charging,
    logger: pino({ level: 'silent' }),
  });

describe('a release whose head was overtaken', () => {
  test('is sent with the newest that the ledger has, once it was shown the one that is held', async () => {
    const shown: SignedHead[] = [];
    const sent: number[] = [];
    const { send } = callsWith(async (_agreementId, held) => {
      shown.push(held);
      return headAt(9);
    });
    const coordinator = async ({ head }: SignedHead): Promise<void> => {
      sent.push(head.sequence);
      if (head.sequence < 7) throw olderThan(headAt(7));
    };
    await send('urn:a', headAt(4), coordinator, never);
    expect(sent).toEqual([4, 9]);
    expect(shown).toEqual([headAt(7)]);
  });

  test('gets there however often others are charged and sent in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 20 }), async (charges) => {
        const waiting = [...charges];
        let [ledger, held] = [1, 1];
        const { send } = callsWith(async () => headAt(ledger));
        await send(
          'urn:a',
          headAt(ledger),
          async ({ head }) => {
            const others = waiting.shift();
            if (others !== undefined) held = ledger += others;
            if (head.sequence < held) throw olderThan(headAt(held));
            held = head.sequence;
          },
          never,
        );
        expect(held).toBe(ledger);
      }),
    );
  });

  test('is refused in the own connector’s words where the ledger is older than what the coordinator holds', async () => {
    let calls = 0;
    const { send } = callsWith(async () => {
      throw new FoedusError('conflict', 'The ledger of agreement urn:a is older than what a partner holds of it.');
    });
    const sending = send(
      'urn:a',
      headAt(4),
      async () => {
        calls += 1;
        throw olderThan(headAt(7));
      },
      never,
    );
    await expect(sending).rejects.toMatchObject({
      code: 'ledger-too-old',
      message: 'The ledger of agreement urn:a is older than what a partner holds of it.',
    });
    expect(calls).toBe(1);
  });

  test('is not sent again with the same head, nor where the coordinator does not say which one it holds', async () => {
    let calls = 0;
    const refuse = (error: FoedusError) => async (): Promise<void> => {
      calls += 1;
      throw error;
    };
    const { send } = callsWith(async () => headAt(4));
    await expect(send('urn:a', headAt(4), refuse(olderThan(headAt(3))), never)).rejects.toMatchObject({
      code: 'older-head',
    });
    const silent = new FoedusError('older-head', 'It is older.');
    await expect(send('urn:a', headAt(4), refuse(silent), never)).rejects.toMatchObject({ code: 'older-head' });
    expect(calls).toBe(2);
  });
});

test('a release of a round that is over is out of step, and the ledger is shown nothing', async () => {
  const { send } = callsWith(() => Promise.reject(new Error('nothing is held')));
  const over = async (): Promise<void> => {
    throw new FoedusError('round-over', 'Round 1 is not open any more.');
  };
  await expect(send('urn:a', headAt(1), over, never)).rejects.toBeInstanceOf(OutOfStep);
});
