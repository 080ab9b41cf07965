import { describe, expect, test } from 'vitest';
import {
  type Advertised,
  advertiseKeys,
  type Confirmed,
  confirmSurvivors,
  maskInput,
  type Masked,
  shareSecrets,
  unmask,
} from './client.ts';
import { type Cohort, createCohort } from './cohort.test-data.ts';
import { agree, open, privateKeyOf, publicKeyOf, selfMaskCommitment } from './keys.ts';
import type { Roster, SealedShares, SignedAdvertisement, Unmasking } from './messages.ts';
import { openRound } from './server.ts';
import { combine, SHARE_BYTES } from './shamir.ts';
import { documentHash, roundTermsSchema } from './terms.ts';

/** An active server: it has all members' messages and sends what it likes. */
async function begin(cohort: Cohort) {
  const { terms, edges, verify } = cohort;
  const keys = openRound(terms, verify);
  const states: Advertised[] = [];
  const adverts: SignedAdvertisement[] = [];
  for (const [member, id] of terms.cohort.entries()) {
    const { state, message } = await advertiseKeys(terms, id, edges(member));
    await keys.accept(member, message);
    states.push(state);
    adverts.push(message);
  }
  const { next, outgoing } = keys.close();
  return { states, adverts, shares: next, rosters: outgoing };
}

async function untilMasked(cohort: Cohort) {
  const { edges } = cohort;
  const { states, shares, rosters } = await begin(cohort);
  const shared = [];
  const sent: SealedShares[] = [];
  for (const [member, roster] of rosters) {
    const step = await shareSecrets(states[member]!, roster, edges(member));
    shares.accept(member, step.message);
    shared.push(step.state);
    sent.push(step.message);
  }
  const inboxes = shares.close();
  const masked: Masked[] = [];
  for (const [member, inbox] of inboxes.outgoing) {
    const step = maskInput(shared[member]!, inbox, new Uint32Array(cohort.terms.length));
    inboxes.next.accept(member, step.message);
    masked.push(step.state);
  }
  return { masked, shared, sent, inputs: inboxes.next, inboxes: inboxes.outgoing };
}

const survivorsOf = ({ termsHash }: { readonly termsHash: string }, survivors: readonly number[]) => ({
  termsHash,
  survivors,
});
const active = { mode: 'active-server', degree: null } as const;

async function confirmedBy(cohort: Cohort, masked: readonly Masked[], survivors: readonly number[]) {
  const termsHash = masked[0]!.round.hash;
  const steps = new Map<number, { state: Confirmed; message: string }>();
  for (const member of survivors) {
    const step = await confirmSurvivors(masked[member]!, survivorsOf({ termsHash }, survivors), cohort.edges(member));
    steps.set(member, step);
  }
  return steps;
}

const signaturesFor = (
  steps: ReadonlyMap<number, { state: Confirmed; message: string }>,
  member: number,
): [number, string][] =>
  [...steps].flatMap(([other, { message }]): [number, string][] => (other === member ? [] : [[other, message]]));

describe('a server that asks for both secrets of a member', () => {
  test('gets the one or the other from every client, and a second request gets nothing', async () => {
    const cohort = createCohort(4, active);
    const { masked } = await untilMasked(cohort);
    const termsHash = masked[0]!.round.hash;
    const steps = await confirmedBy(cohort, masked, [0, 1, 2, 3]);
    const { state } = steps.get(0)!;
    const given = await unmask(state, { termsHash, signatures: signaturesFor(steps, 0) }, cohort.edges(0));
    expect(given.selfMasks.map(([member]) => member)).toEqual([0, 1, 2, 3]);
    expect(given.maskKeys).toEqual([]);
    // Asked again as if member 3 had dropped out: the confirmed state is bound to the survivors it signed.
    const other = { termsHash, signatures: [], survivors: [0, 1, 2] };
    await expect(unmask(state, other, cohort.edges(0))).rejects.toMatchObject({ code: 'bad-message' });
    const ended = { ...given, phase: 'ended' } as unknown as Confirmed;
    await expect(unmask(ended, { termsHash, signatures: [] }, cohort.edges(0))).rejects.toMatchObject({
      code: 'out-of-order',
    });
  });

  test('cannot have a client confirm twice', async () => {
    const cohort = createCohort(3, active);
    const { masked } = await untilMasked(cohort);
    const list = survivorsOf({ termsHash: masked[0]!.round.hash }, [0, 1, 2]);
    const { state } = await confirmSurvivors(masked[0]!, list, cohort.edges(0));
    await expect(confirmSurvivors(state as unknown as Masked, list, cohort.edges(0))).rejects.toMatchObject({
      code: 'out-of-order',
    });
  });
});

describe('a server that tells different clients different survivors', () => {
  test('gets nothing from either', async () => {
    const cohort = createCohort(5, active);
    const { masked } = await untilMasked(cohort);
    const termsHash = masked[0]!.round.hash;
    // 0 and 1 hear that 4 survived, 2 and 3 that it did not: together they would hold both its secrets.
    const with4 = await confirmedBy(cohort, masked, [0, 1, 2, 3, 4]);
    const without4 = await confirmedBy(cohort, masked, [0, 1, 2, 3]);
    const mixed = (member: number): [number, string][] =>
      ([0, 1, 2, 3] as const).flatMap((other): [number, string][] =>
        other === member ? [] : [[other, (other < 2 ? with4 : without4).get(other)!.message]],
      );
    for (const member of [0, 1, 2, 3]) {
      const { state } = (member < 2 ? with4 : without4).get(member)!;
      await expect(unmask(state, { termsHash, signatures: mixed(member) }, cohort.edges(member))).rejects.toMatchObject(
        { code: 'inconsistent-view' },
      );
      const honest = mixed(member).filter(([other]) => other < 2 === member < 2);
      await expect(unmask(state, { termsHash, signatures: honest }, cohort.edges(member))).rejects.toMatchObject({
        code: 'below-threshold',
      });
    }
  });

  test('cannot say of a client to itself that it dropped out', async () => {
    const cohort = createCohort(3, active);
    const { masked } = await untilMasked(cohort);
    const list = survivorsOf({ termsHash: masked[0]!.round.hash }, [1, 2]);
    await expect(confirmSurvivors(masked[0]!, list, cohort.edges(0))).rejects.toMatchObject({
      code: 'inconsistent-view',
    });
  });
});

describe('keys', () => {
  const replace = (roster: Roster, member: number, signed: SignedAdvertisement): Roster => ({
    ...roster,
    members: roster.members.map(([m, h]) => [m, m === member ? documentHash(signed.advertisement) : h]),
    neighbours: roster.neighbours.map(([m, s]) => [m, m === member ? signed : s]),
  });

  test('that the server put in place of a member’s are refused, signed or not', async () => {
    const cohort = createCohort(3, active);
    const { states, rosters, adverts } = await begin(cohort);
    const own = publicKeyOf(new Uint8Array(32).fill(7));
    const forged = { ...adverts[1]!, advertisement: { ...adverts[1]!.advertisement, maskKey: own } };
    await expect(shareSecrets(states[0]!, replace(rosters.get(0)!, 1, forged), cohort.edges(0))).rejects.toMatchObject({
      code: 'bad-signature',
    });
    const signature = await cohort.edges(2).sign(forged.advertisement);
    await expect(
      shareSecrets(states[0]!, replace(rosters.get(0)!, 1, { ...forged, signature }), cohort.edges(0)),
    ).rejects.toMatchObject({ code: 'bad-signature' });
  });

  test('of an earlier round, another session, model, policy or cohort are refused though rightly signed', async () => {
    const cohort = createCohort(3, active);
    const { states, rosters } = await begin(cohort);
    const elsewhere = [
      { round: 2 },
      { sessionId: 'another' },
      { modelHash: '00'.repeat(32) },
      { policyHash: '00'.repeat(32) },
      { cohort: [...cohort.terms.cohort, 'did:web:z.example'] },
      { minimumCohort: 3 },
    ];
    for (const change of elsewhere) {
      const { message } = await advertiseKeys({ ...cohort.terms, ...change }, cohort.terms.cohort[1]!, cohort.edges(1));
      await expect(
        shareSecrets(states[0]!, replace(rosters.get(0)!, 1, message), cohort.edges(0)),
      ).rejects.toMatchObject({ code: 'other-round' });
      await expect(openRound(cohort.terms, cohort.verify).accept(1, message)).rejects.toMatchObject({
        code: 'other-round',
      });
    }
  });

  test('of another member, used a second time, are refused', async () => {
    const cohort = createCohort(3, active);
    const { states, rosters, adverts } = await begin(cohort);
    const copy = { ...adverts[1]!.advertisement, participant: cohort.terms.cohort[2]! };
    const signed = { advertisement: copy, signature: await cohort.edges(2).sign(copy) };
    await expect(shareSecrets(states[0]!, replace(rosters.get(0)!, 2, signed), cohort.edges(0))).rejects.toMatchObject({
      code: 'inconsistent-view',
    });
  });

  test('of small order are refused', () => {
    for (const key of ['00'.repeat(32), `01${'00'.repeat(31)}`]) {
      expect(() => agree(privateKeyOf(new Uint8Array(32).fill(9)), key, 'x', 16)).toThrow(/Leave the round/);
    }
  });
});

describe('a member that advertises keys which the others must refuse', () => {
  /** Public keys of small order: with any secret they agree on zeros (RFC 7748, section 6.1). */
  const ofSmallOrder = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
  ];
  const own = publicKeyOf(new Uint8Array(32).fill(7));
  const keys = [
    ...ofSmallOrder.flatMap((key) => [
      { name: `${key} for masks`, hostile: { maskKey: key } },
      { name: `${key} for shares`, hostile: { shareKey: key } },
    ]),
    { name: 'one key for both', hostile: { maskKey: own, shareKey: own } },
  ];

  test.for(keys)('($name) loses its place, and costs nobody else the round', async ({ hostile }) => {
    const cohort = createCohort(4, active);
    const { terms, edges } = cohort;
    const stage = openRound(terms, cohort.verify);
    const states: Advertised[] = [];
    for (const [member, id] of terms.cohort.entries()) {
      const { state, message } = await advertiseKeys(terms, id, edges(member));
      states.push(state);
      if (member < 3) await stage.accept(member, message);
      else {
        const advertisement = { ...message.advertisement, ...hostile };
        const signed = { advertisement, signature: await edges(member).sign(advertisement) };
        await expect(stage.accept(member, signed)).rejects.toMatchObject({ code: 'bad-message' });
      }
    }
    const { outgoing } = stage.close();
    expect([...outgoing.keys()]).toEqual([0, 1, 2]);
    for (const [member, roster] of outgoing) {
      const { state } = await shareSecrets(states[member]!, roster, edges(member));
      expect([...state.members]).toEqual([0, 1, 2]);
    }
  });

  test('a copy of another member’s is refused as well', async () => {
    const { terms, edges, verify } = createCohort(3, active);
    const stage = openRound(terms, verify);
    const [first, second] = await Promise.all([0, 1].map((m) => advertiseKeys(terms, terms.cohort[m]!, edges(m))));
    await stage.accept(0, first!.message);
    for (const copied of [
      { maskKey: first!.message.advertisement.shareKey },
      { shareKey: first!.message.advertisement.shareKey },
    ]) {
      const advertisement = { ...second!.message.advertisement, ...copied };
      const signed = { advertisement, signature: await edges(1).sign(advertisement) };
      await expect(stage.accept(1, signed)).rejects.toMatchObject({ code: 'bad-message' });
    }
    await stage.accept(1, second!.message);
    expect([...stage.close().outgoing.keys()]).toEqual([0, 1]);
  });
});

describe('a server that gives one client another model', () => {
  test('has it in a round of its own: nobody accepts its keys', async () => {
    const cohort = createCohort(3, active);
    const { states, rosters, adverts } = await begin(cohort);
    const singled = { ...cohort.terms, modelHash: 'ff'.repeat(32) };
    const alone = await advertiseKeys(singled, cohort.terms.cohort[0]!, cohort.edges(0));
    await expect(shareSecrets(alone.state, rosters.get(0)!, cohort.edges(0))).rejects.toMatchObject({
      code: 'other-round',
    });
    const renamed = { ...rosters.get(0)!, termsHash: alone.state.round.hash };
    const own = renamed.members.map(([m, h]): [number, string] => [
      m,
      m === 0 ? documentHash(alone.message.advertisement) : h,
    ]);
    await expect(shareSecrets(alone.state, { ...renamed, members: own }, cohort.edges(0))).rejects.toMatchObject({
      code: 'other-round',
    });
    expect(states).toHaveLength(adverts.length);
  });
});

describe('invented members', () => {
  test('below the threshold learn nothing of a secret: t − 1 shares fit every secret', async () => {
    const n = 7;
    const cohort = createCohort(n, active);
    const { shared, sent } = await untilMasked(cohort);
    // Members 1…k are the server's own: what they can open of member 0's shares.
    const opened = (colluding: number) =>
      Array.from({ length: colluding }, (_, i) => i + 1).map((member) => {
        const about = `foedus share ${shared[0]!.rosterHash} 0 ${member}`;
        const secret = privateKeyOf(shared[member]!.secrets.shareKey);
        const key = agree(secret, publicKeyOf(shared[0]!.secrets.shareKey), about, 32);
        const sealed = new Map(sent[0]!.shares).get(member)!;
        return { at: member + 1, bytes: open(key, Buffer.from(sealed, 'base64'), about)!.subarray(0, SHARE_BYTES) };
      });
    const { threshold, secrets } = shared[0]!;
    expect(threshold).toBe(5);
    expect(combine(opened(threshold), threshold)).toEqual(secrets.selfMask);
    expect(combine(opened(threshold - 1), threshold)).toBeUndefined();
    const guessed = combine(opened(threshold - 1), threshold - 1);
    expect(guessed).not.toEqual(secrets.selfMask);
  });

  test('who are not of the cohort do not get into the roster', async () => {
    const cohort = createCohort(3, active);
    const { states, rosters } = await begin(cohort);
    const roster = rosters.get(0)!;
    const stranger: Roster = { ...roster, members: [...roster.members, [3, 'ee'.repeat(32)]] };
    await expect(shareSecrets(states[0]!, stranger, cohort.edges(0))).rejects.toMatchObject({
      code: 'inconsistent-view',
    });
  });

  test('cannot be hidden behind a roster below the minimum cohort', async () => {
    const cohort = createCohort(4, { ...active, minimumCohort: 4 });
    const { states, rosters } = await begin(cohort);
    const roster = rosters.get(0)!;
    const fewer: Roster = { ...roster, members: roster.members.slice(0, 3), neighbours: roster.neighbours.slice(0, 2) };
    await expect(shareSecrets(states[0]!, fewer, cohort.edges(0))).rejects.toMatchObject({ code: 'below-minimum' });
  });

  test('have no place in a graph that the server can choose: the active-server mode takes the complete one', () => {
    const { terms } = createCohort(9);
    expect(roundTermsSchema.safeParse({ ...terms, mode: 'active-server', degree: 4 }).success).toBe(false);
    expect(roundTermsSchema.safeParse({ ...terms, mode: 'active-server', degree: null }).success).toBe(true);
  });
});

test('shares that were sealed for another member, round or roster are refused', async () => {
  const cohort = createCohort(3, active);
  const { shared, inboxes } = await untilMasked(cohort);
  const input = new Uint32Array(cohort.terms.length);
  expect(() => maskInput(shared[0]!, inboxes.get(1), input)).toThrow(/no neighbour|not sealed/);
  const swapped = inboxes.get(0)!.shares.map(([from], i, all): [number, string] => [from, all[(i + 1) % 2]![1]]);
  expect(() => maskInput(shared[0]!, { ...inboxes.get(0)!, shares: swapped }, input)).toThrow(/not sealed/);
});

test('the server refuses shares that would give it both secrets of a member', async () => {
  const cohort = createCohort(4, active);
  const { masked, inputs } = await untilMasked(cohort);
  const { next, outgoing } = inputs.close();
  const confirmed = [];
  for (const [member, list] of outgoing) {
    const step = await confirmSurvivors(masked[member]!, list, cohort.edges(member));
    await next.accept(member, step.message);
    confirmed.push(step.state);
  }
  const last = next.close();
  const answer = await unmask(confirmed[0]!, last.outgoing.get(0), cohort.edges(0));
  expect(() => last.next.accept(0, { ...answer, maskKeys: answer.selfMasks })).toThrow(/other shares/);
  last.next.accept(0, answer);
  expect(() => last.next.accept(0, answer)).toThrow(/answered already/);
});

describe('a member that gives wrong shares', () => {
  /** A round of five in which `spoil` changes what members send to unmask. */
  async function unmasked(spoil: (answers: Unmasking[]) => void) {
    const cohort = createCohort(5);
    const { masked, inputs } = await untilMasked(cohort);
    const survivors = inputs.close();
    const confirmed: Confirmed[] = [];
    for (const [member, list] of survivors.outgoing) {
      const step = await confirmSurvivors(masked[member]!, list, cohort.edges(member));
      await survivors.next.accept(member, step.message);
      confirmed.push(step.state);
    }
    const last = survivors.next.close();
    const answers: Unmasking[] = [];
    for (const [member, signatures] of last.outgoing) {
      answers.push(await unmask(confirmed[member]!, signatures, cohort.edges(member)));
    }
    spoil(answers);
    for (const [member, answer] of answers.entries()) last.next.accept(member, answer);
    return last.next;
  }
  const wrong = (answer: Unmasking, about: number): void => {
    for (const share of answer.selfMasks)
      if (share[0] === about) share[1] = Buffer.alloc(SHARE_BYTES, 1).toString('base64');
  };

  test('changes nothing as long as the threshold of right ones is left', async () => {
    for (const liar of [0, 2, 4]) {
      const stage = await unmasked((answers) => {
        for (let about = 0; about < 5; about++) wrong(answers[liar]!, about);
        wrong(answers[(liar + 1) % 5]!, 3);
      });
      const { sum } = stage.close();
      // Every input was 0.
      expect([...sum].map((word) => word << (32 - 20))).toEqual([0, 0, 0, 0, 0]);
    }
  });

  test('is noticed, and whose secret is lost is named, when too few right ones are left: no sum comes out', async () => {
    const stage = await unmasked((answers) => {
      for (const liar of [0, 1, 4]) wrong(answers[liar]!, 2);
    });
    expect(() => stage.close()).toThrow(/m000002\.example do not give the secret that it advertised/);
  });

  test('cannot commit to another member’s self-mask or to one of another round', async () => {
    const secret = new Uint8Array(32).fill(7);
    const commitments = [
      selfMaskCommitment(secret, 'a'.repeat(64), 'did:web:a.example'),
      selfMaskCommitment(secret, 'a'.repeat(64), 'did:web:b.example'),
      selfMaskCommitment(secret, 'b'.repeat(64), 'did:web:a.example'),
    ];
    expect(new Set(commitments).size).toBe(3);
  });
});
