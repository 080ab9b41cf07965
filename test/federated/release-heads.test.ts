/** Every release under an agreement brings the signed head of its sender's ledger, and the heads go on from each other. */
import { HEAD_HEADER, type SignedHead, writeHeadHeader } from '@foedus/connector/operator-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, type Federation, type Partner } from './federation.ts';
import { enrolAll, type ScriptedClient } from './scripted-client.ts';
import { enrolled, hasEnded, running, scriptedMember, startSession, trainerOf } from './secure-member.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul']);
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
});

/** The same head, otherwise than it is, signed by whom it is about. */
async function changed({ identity }: Partner, { head }: SignedHead, change: object): Promise<SignedHead> {
  const made = { ...head, ...change };
  return { head: made, signature: await identity.sign(made) };
}

/**
 * What is wrong with each head, when `newest` is the head that the coordinator was sent last under the agreement and the
 * ledger has gone on since.
 */
async function wrongHeads(client: ScriptedClient, other: Partner, newest: SignedHead) {
  const { partner } = client;
  const elsewhere = await other.operator.ledgerHead(other.agreementId);
  const { head } = newest;
  const lower = { sequence: head.sequence - 1, hash: 'a'.repeat(64) };
  return [
    ['missing', null, 400, 'bad-request'],
    ['not a head', 'e30', 400, 'bad-request'],
    ['of another agreement', elsewhere, 400, 'bad-request'],
    ['signed by another', { head, signature: await other.identity.sign(head) }, 400, 'bad-signature'],
    ['changed', { ...newest, head: { ...head, sequence: 99 } }, 400, 'bad-signature'],
    ['of a ledger without a charge', await changed(partner, newest, { sequence: 0 }), 400, 'bad-request'],
    ['older', await changed(partner, newest, lower), 409, 'older-head'],
    ['of another branch', await changed(partner, newest, { hash: 'b'.repeat(64) }), 409, 'older-head'],
    [
      'later, of a ledger that has forgotten what was spent',
      await changed(partner, newest, {
        ...lower,
        at: new Date().toISOString(),
        spent: { ...head.spent, rounds: head.spent.rounds - 1 },
      }),
      409,
      'older-head',
    ],
  ] as const;
}

type Put = (headers: Record<string, string>) => Promise<Response>;

async function expectRefusals(put: Put, heads: Awaited<ReturnType<typeof wrongHeads>>, held: SignedHead) {
  for (const [what, head, status, code] of heads) {
    const header = head === null || typeof head === 'string' ? head : writeHeadHeader(head);
    const response = await put(header === null ? {} : { [HEAD_HEADER]: header });
    const problem = (await response.json()) as { code: string; message: string; details?: { ledgerHead: SignedHead } };
    expect({ what, status: response.status, code: problem.code }).toEqual({ what, status, code });
    if (what === 'missing') expect(problem.message).toContain(`in the header ${HEAD_HEADER}`);
    if (code === 'older-head') expect(problem.details?.ledgerHead.head).toEqual(held.head);
  }
}

describe('a release', () => {
  test('of an update or of metrics is refused without the head of its charge, and counts with it', async () => {
    const partners = await federation.agree({});
    await using coordinator = await federation.coordinator();
    const { id } = await coordinator.plan({ rounds: 2 }, partners);
    await coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const { clients } = await enrolAll(partners, id);
    const [client, ...others] = clients as [ScriptedClient, ...ScriptedClient[]];
    await using stack = new AsyncDisposableStack();
    for (const one of clients) stack.use(one);
    const histogram = { negatives: [0, 7, 3, 0], positives: [0, 3, 7, 0] };
    const putUpdate =
      (round: number): Put =>
      (headers) =>
        client.peer.fetch(`${client.root}/rounds/${round}/update`, {
          method: 'PUT',
          body: client.update(round, 0.1),
          headers,
        });
    const postMetrics: Put = (headers) =>
      client.peer.fetch(`${client.root}/rounds/1/evaluation`, {
        method: 'POST',
        body: JSON.stringify({ metrics: {}, histogram }),
        headers,
      });

    // Nothing is held yet: a head without any charge is refused all the same.
    const nothing = await client.partner.operator.ledgerHead(client.partner.agreementId);
    expect(nothing.head.sequence).toBe(0);
    expect((await putUpdate(1)({ [HEAD_HEADER]: writeHeadHeader(nothing) })).status).toBe(400);
    expect((await putUpdate(1)({})).status).toBe(400);
    for (const one of clients) await one.upload(1, 0.1);

    await client.task('evaluate');
    const sent = await client.charge(1);
    await expectRefusals(postMetrics, await wrongHeads(client, partners[1]!, sent), sent);
    await client.coordinator.evaluate(1, { metrics: {}, histogram }, sent, new AbortController().signal);
    // A reason for sending nothing is no release.
    for (const { coordinator: theirs } of others) {
      await theirs.evaluate(1, { metrics: {}, reason: 'Not agreed.' }, null, new AbortController().signal);
    }

    await client.task('train');
    await expectRefusals(putUpdate(2), await wrongHeads(client, partners[1]!, sent), sent);
    for (const one of clients) await one.upload(2, 0.1);
    const view = await coordinator.until(id, ({ roundsDone }) => roundsDone === 2);
    expect(Object.values(view.rounds[1]!.contributions).map(({ status }) => status)).toEqual([
      'received',
      'received',
      'received',
    ]);
  });

  test('of a masked input is refused without the head of its charge, and counts with it', async () => {
    const partners = await federation.agree({});
    await using run = await running(
      federation,
      partners.slice(0, 2),
      [0.1, 0.2].map((scale) => trainerOf(scale)),
    );
    const id = await startSession(run, { rounds: 2, minimumCohort: 3 }, partners);
    const client = await enrolled(partners[2]!, id);
    await using first = await scriptedMember(client, 0.3);
    await first.upTo('unmasking');
    const sent = await client.charge(1);
    await using second = await scriptedMember(client, 0.3);
    await second.upTo('shares');
    const address = `${client.root}/rounds/2/secure/input`;
    const put: Put = (headers) => client.peer.fetch(address, { method: 'PUT', body: 'masked', headers });
    await expectRefusals(put, await wrongHeads(client, partners[0]!, sent), sent);
    await second.upTo('unmasking');
    expect(await run.coordinator.until(id, hasEnded)).toMatchObject({ state: 'completed', roundsDone: 2 });
  });

  test('of several sessions under the same agreements gets through in whatever order the heads arrive', async () => {
    const partners = await federation.agree({});
    await using run = await running(
      federation,
      partners,
      [0.1, 0.2, 0.3].map((scale) => trainerOf(scale)),
    );
    const ids = await Promise.all(
      [null, { mode: 'honest-server' as const, clip: 10 }, null].map((secureAggregation) =>
        startSession(run, { rounds: 3, secureAggregation }, partners),
      ),
    );
    for (const id of ids) {
      expect(await run.coordinator.until(id, hasEnded)).toMatchObject({ state: 'completed', roundsDone: 3 });
    }
    for (const { operator, agreementId } of partners) {
      expect((await operator.account(agreementId)).spent.rounds).toBe(9);
    }
  });
});
