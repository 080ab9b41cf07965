import { HEAD_HEADER, writeHeadHeader } from '@foedus/connector/operator-client';
import { type SecureStep } from '@foedus/fl-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, type Federation, type Partner } from './federation.ts';
import {
  enrolled,
  expectMoved,
  hasEnded,
  type Lies,
  running,
  scriptedMember,
  startSession,
  trainerOf,
} from './secure-member.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul', 'bos']);
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
});

const scales = [0.1, -0.2, 0.4, 0.6] as const;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe('a session under secure aggregation', () => {
  test.for(['honest-server', 'active-server'] as const)(
    'has the same mean as one without, to within its quantisation, and charges each round once (%s)',
    async (mode) => {
      const partners = await federation.agree({});
      await using run = await running(
        federation,
        partners,
        scales.map((scale) => trainerOf(scale)),
      );
      const id = await startSession(run, { rounds: 2, secureAggregation: { mode, clip: 10 } }, partners);
      const done = await run.coordinator.until(id, hasEnded);
      expect(done).toMatchObject({ state: 'completed', roundsDone: 2 });
      await expectMoved(run, done, (2 * sum(scales)) / 4);
      for (const partner of partners) {
        const { entries } = await partner.operator.account(partner.agreementId);
        expect(entries.map(({ key, state }) => ({ key, state }))).toEqual(
          [1, 2].map((round) => ({ key: `train/${id}/${round}`, state: 'committed' })),
        );
        // What the decision point was told: the fewest that the sum could be over, not all that began.
        expect(entries[0]!.basis).toMatchObject({ secureAggregation: mode });
      }
    },
  );

  test('evaluates and adapts with the same strategies as any other', async () => {
    const partners = await federation.agree({});
    await using run = await running(
      federation,
      partners,
      scales.map((scale) => trainerOf(scale)),
    );
    const draft = {
      rounds: 1,
      strategy: { name: 'fedadam' as const, serverLearningRate: 0.1 },
      evaluation: { holdOut: 0.2, salt: 's', metrics: ['auc' as const], noise: { bins: 4, noiseMultiplier: 20 } },
    };
    const id = await startSession(run, draft, partners);
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
    expect(done.rounds[0]!.mean).toEqual({ auc: expect.closeTo(0.75, 3) as number, logLoss: null });
  });
});

/** The session's transfer is over at the partner's connector. */
async function completed({ operator }: Partner, sessionId: string): Promise<void> {
  const own = (await operator.transfers()).find(
    ({ dataAddress }) => dataAddress?.properties['sessionId'] === sessionId,
  )!;
  await operator.transferUntil(own.id, ['COMPLETED']);
}

describe('a member that drops out', () => {
  const cases: readonly { after: SecureStep | null; missing: SecureStep; counts: boolean }[] = [
    { after: null, missing: 'keys', counts: false },
    { after: 'keys', missing: 'shares', counts: false },
    { after: 'shares', missing: 'input', counts: false },
    { after: 'input', missing: 'confirmation', counts: true },
    { after: 'confirmation', missing: 'unmasking', counts: true },
  ];
  test.for(cases)(
    'after $after costs the round nothing but itself, and takes part in the next',
    async ({ after, missing, counts }) => {
      const partners = await federation.agree({});
      await using run = await running(
        federation,
        partners.slice(0, 3),
        scales.slice(0, 3).map((scale) => trainerOf(scale)),
        { awayAfterSeconds: 0.5 },
      );
      const id = await startSession(run, { rounds: 1, minimumCohort: 2 }, partners);
      await using first = await scriptedMember(await enrolled(partners[3]!, id), scales[3]);
      expect(first.task).toMatchObject({ round: 1, cohort: 4 });
      if (after !== null) await first.upTo(after);
      await run.coordinator.until(id, hasEnded);
      await completed(partners[3]!, id);
      await run.coordinator.session('POST', `/api/sessions/${id}/rounds`, { additional: 1 });
      await using second = await scriptedMember(await enrolled(partners[3]!, id), scales[3]);
      expect(second.task).toMatchObject({ round: 2, cohort: 4 });
      await second.upTo('unmasking');
      const done = await run.coordinator.until(id, (view) => hasEnded(view) && view.rounds.length > 1);
      expect(done).toMatchObject({ state: 'completed', roundsDone: 2 });
      // And whoever looks afterwards sees at which step.
      const droppedAt = done.rounds.map(({ contributions }) =>
        partners.map(({ participantId }) => contributions[participantId]!.droppedAt),
      );
      expect(droppedAt).toEqual([
        [null, null, null, missing],
        [null, null, null, null],
      ]);
      const withIt = done.rounds.map(
        ({ contributions }) => contributions[partners[3]!.participantId]?.status === 'received',
      );
      expect(withIt).toEqual([counts, true]);
      const mean = (isIn: boolean): number => (isIn ? sum(scales) / 4 : sum(scales.slice(0, 3)) / 3);
      await expectMoved(run, done, sum(withIt.map(mean)));
    },
  );
});

describe('a member that spoils every round it is asked for', () => {
  const cases: readonly {
    readonly how: string;
    readonly lies: Lies;
    readonly reason: RegExp;
    readonly paid: number;
  }[] = [
    {
      how: 'shares another secret than it has committed to',
      lies: {
        secrets: (state) => ({ ...state, secrets: { ...state.secrets, selfMask: new Uint8Array(32).fill(7) } }),
      },
      reason: /bos\.example do not give the secret that it advertised/,
      paid: 2,
    },
    {
      how: 'seals shares that nobody can open',
      lies: {
        shares: ({ shares, ...rest }) => ({
          ...rest,
          shares: shares.map(([to, sealed]) => [to, `AAAA${sealed.slice(4)}`]),
        }),
      },
      reason: /The shares of did:web:bos\.example were not sealed for this member/,
      paid: 1,
    },
  ];

  test.for(cases)('($how) costs the others one: it is named, and the next is held without it', async (one) => {
    const { lies, reason, paid } = one;
    const partners = await federation.agree({});
    await using run = await running(
      federation,
      partners.slice(0, 3),
      scales.slice(0, 3).map((scale) => trainerOf(scale)),
    );
    const id = await startSession(run, { rounds: 1, minimumCohort: 3 }, partners);
    const hostile = partners[3]!.participantId;
    const client = await enrolled(partners[3]!, id);
    const over = new AbortController();
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => {
      over.abort();
      await client[Symbol.asyncDispose]();
      await attack;
    });
    const attack = (async () => {
      while (!over.signal.aborted) {
        const member = await scriptedMember(client, scales[3], lies);
        await member.upTo('unmasking').catch(() => undefined);
      }
    })().catch(() => undefined);
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
    expect(done.rounds.map(({ phase }) => phase)).toEqual(['abandoned', 'done']);
    expect(done.rounds[0]!.reason).toMatch(reason);
    expect(done.rounds[1]!.contributions[hostile]?.status).not.toBe('received');
    await expectMoved(run, done, sum(scales.slice(0, 3)) / 3);
    for (const { operator, agreementId } of partners.slice(0, 3)) {
      expect((await operator.account(agreementId)).spent.rounds).toBe(paid);
    }
  });
});

describe('a message for a step', () => {
  test('that is unsigned, replayed, somebody else’s, changed afterwards or no message at all is refused, and the round goes on', async () => {
    const partners = await federation.agree({});
    await using run = await running(
      federation,
      partners.slice(0, 3),
      scales.slice(0, 3).map((scale) => trainerOf(scale)),
    );
    const id = await startSession(run, { rounds: 2, minimumCohort: 4 }, partners);
    const client = await enrolled(partners[3]!, id);
    await using first = await scriptedMember(client, scales[3]);
    const put = async (round: number, step: string, body: string): Promise<number> => {
      const address = `${client.root}/rounds/${round}/secure/${step}`;
      return (await client.peer.fetch(address, { method: 'PUT', body })).status;
    };
    const { advertisement, signature } = first.keys;
    const unsigned = { advertisement, signature: 'e30..AAAA' };
    const other = { advertisement: { ...advertisement, maskKey: 'ab'.repeat(32) }, signature };
    const another = { advertisement: { ...advertisement, participant: partners[0]!.participantId }, signature };
    for (const body of ['', '{', '[]', '{"signature":1}', JSON.stringify(unsigned), JSON.stringify(other)]) {
      expect(await put(1, 'keys', body), body).toBe(400);
    }
    expect(await put(1, 'keys', JSON.stringify(another))).toBe(400);
    expect(await put(1, 'nothing', '{}')).toBe(400);
    expect(await put(1, 'keys', 'x'.repeat(200_000))).toBe(413);
    expect(await put(2, 'keys', JSON.stringify(first.keys))).toBe(409);
    expect(await put(1, 'unmasking', JSON.stringify({ termsHash: 'ab'.repeat(32), selfMasks: [], maskKeys: [] }))).toBe(
      400,
    );
    // An update in the clear has no place in such a session, and is no fault of the coordinator's.
    const bare = await client.peer.fetch(`${client.root}/rounds/1/update`, {
      method: 'PUT',
      body: client.update(1, 0),
      headers: { [HEAD_HEADER]: writeHeadHeader(await client.charge(1)) },
    });
    expect(bare.status).toBe(400);
    expect(await bare.json()).toMatchObject({
      code: 'bad-request',
      message: expect.stringContaining('masks') as string,
    });
    await first.upTo('keys');
    // The same again is what a lost answer looks like.
    expect(await put(1, 'keys', JSON.stringify(first.keys))).toBe(204);
    await first.upTo('unmasking');
    await using second = await scriptedMember(client, scales[3]);
    // Keys of the round before, word for word.
    expect(await put(2, 'keys', JSON.stringify(first.keys))).toBe(400);
    await second.upTo('keys');
    await second.upTo('unmasking');
    expect(await run.coordinator.until(id, hasEnded)).toMatchObject({ state: 'completed', roundsDone: 2 });
  });

  test('that is a masked input before its time takes no room that the others need for theirs', async () => {
    const partners = await federation.agree({});
    const settings = { uploadIdleSeconds: 3_600 };
    await using run = await running(
      federation,
      partners.slice(0, 3),
      scales.slice(0, 3).map((scale) => trainerOf(scale)),
      settings,
    );
    const id = await startSession(run, { rounds: 1, minimumCohort: 3, roundTimeoutSeconds: 3_600 }, partners);
    const client = await enrolled(partners[3]!, id);
    await using member = await scriptedMember(client, scales[3]);
    const given = new AbortController();
    const stalled = client.peer
      .fetch(`${client.root}/rounds/1/secure/input`, {
        method: 'PUT',
        body: new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array(1)) }),
        headers: { [HEAD_HEADER]: writeHeadHeader(await client.charge(1)) },
        signal: given.signal,
      })
      .catch(() => undefined);
    await member.upTo('shares');
    await client.coordinator.depart({ code: 'test', reason: 'It has nothing more to say.' }, given.signal);
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
    await expectMoved(run, done, sum(scales.slice(0, 3)) / 3);
    given.abort();
    await stalled;
  });

  test('with a second, other answer of a member costs that member the round', async () => {
    const partners = await federation.agree({});
    await using run = await running(
      federation,
      partners.slice(0, 3),
      scales.slice(0, 3).map((scale) => trainerOf(scale)),
    );
    const id = await startSession(run, { rounds: 1, minimumCohort: 2 }, partners);
    const client = await enrolled(partners[3]!, id);
    await using member = await scriptedMember(client, scales[3]);
    await member.upTo('shares');
    await using again = await scriptedMember(await enrolled(partners[3]!, id), scales[3]);
    await expect(again.step()).rejects.toMatchObject({ code: 'dropped-out' });
    // Nobody waits for it any more.
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
    await expectMoved(run, done, sum(scales.slice(0, 3)) / 3);
  });
});
