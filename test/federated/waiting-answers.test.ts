import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, type Federation, type Partner } from './federation.ts';
import { enrolled, running, scriptedMember, startSession, type Run, type ScriptedMember } from './secure-member.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul']);
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
});

const never = new AbortController().signal;
const MAX_BYTES = 1 << 20;

interface Cohort extends AsyncDisposable {
  readonly run: Run;
  readonly id: string;
  readonly partners: readonly Partner[];
  readonly members: readonly ScriptedMember[];
}

/** Three members that do what the test does, at the keys of the first round. */
async function cohort(draft: Parameters<typeof startSession>[1] = {}): Promise<Cohort> {
  await using stack = new AsyncDisposableStack();
  const partners = await federation.agree({});
  const run = stack.use(await running(federation, [], []));
  const id = await startSession(run, { rounds: 1, minimumCohort: 3, ...draft }, partners);
  const clients = await Promise.all(partners.map((partner) => enrolled(partner, id)));
  const members = await Promise.all(clients.map((client) => scriptedMember(client, 1)));
  for (const member of members) stack.use(member);
  const all = stack.move();
  return { run, id, partners, members, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Sends its keys, and waits in the same request for what comes of them. */
const send = ({ client, task, keys }: ScriptedMember, signal = never, of: object = keys) =>
  client.coordinator.answerStep(task.round, 'keys', JSON.stringify(of), signal, MAX_BYTES);

/** Until the coordinator has the keys of all these. */
const haveAnswered = async ({ run, id, partners }: Cohort, members: readonly number[]): Promise<void> => {
  await run.coordinator.until(id, ({ rounds }) => {
    const answered = rounds.at(-1)?.secure?.answered ?? {};
    return members.every((member) => answered[partners[member]!.participantId] === 'keys');
  });
};

describe('an answer to a step that waits for what comes of it', () => {
  test('gets what whoever asks for it gets, as soon as the step is closed', async () => {
    await using all = await cohort();
    const [first, second, third] = all.members;
    const waiting = [send(first!), send(second!)];
    await haveAnswered(all, [0, 1]);
    const rosters = await Promise.all([...waiting, send(third!)]);
    expect(rosters).toEqual(await Promise.all(all.members.map((member) => member.outcome('keys'))));
    // Again, with the step long closed.
    expect(await send(first!)).toEqual(rosters[0]);
  });

  test('may be cut off and sent again: it counts once, and the round goes on', async () => {
    await using all = await cohort();
    const [first, second, third] = all.members;
    const leaving = new AbortController();
    const cut = send(first!, leaving.signal);
    await haveAnswered(all, [0]);
    leaving.abort(new Error('the line is cut'));
    await expect(cut).rejects.toThrow('the line is cut');
    const again = send(first!);
    const others = [send(second!), send(third!)];
    expect(await Promise.all([again, ...others])).not.toContain(null);
    for (const member of all.members) await member.upTo('keys');
    await Promise.all(all.members.map((member) => member.upTo('shares')));
    const { rounds } = await all.run.coordinator.until(all.id, (view) => view.rounds.at(-1)?.secure?.step === 'input');
    expect(rounds).toHaveLength(1);
  });

  test('ends with the deadline of the step, and the round with it where too few have answered', async () => {
    await using all = await cohort({
      secureAggregation: { mode: 'honest-server', clip: 10, stepTimeoutSeconds: 1 },
    });
    const [first, second] = all.members;
    const waiting = await Promise.allSettled([send(first!), send(second!)]);
    for (const one of waiting) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'round-over' } });
  });

  test('ends when the coordinator stops; one that was started again says that the round is over', async () => {
    await using all = await cohort();
    const [first] = all.members;
    const waiting = send(first!).catch((error: unknown) => error);
    await haveAnswered(all, [0]);
    all.run.coordinator = await all.run.coordinator.restart();
    // Nothing yet, or no answer at all: either way it asks again.
    expect([null, 'unavailable']).toContain(((await waiting) as { readonly code?: string } | null)?.code ?? null);
    await expect(send(first!)).rejects.toMatchObject({ code: 'round-over' });
  });

  test('is taken without a wait where the member has too many requests waiting already', async () => {
    await using all = await cohort();
    const [first, second] = all.members;
    const leaving = new AbortController();
    const { coordinator } = first!.client;
    const poll = () => coordinator.stepOutcome(1, 'keys', MAX_BYTES, leaving.signal);
    // Eight wait, and what one more is told shows that they do.
    const waiting = Array.from({ length: 9 }, () => poll().catch((error: unknown) => error));
    expect(await Promise.race(waiting)).toMatchObject({ code: 'unavailable' });
    expect(await send(first!)).toBeNull();
    await haveAnswered(all, [0]);
    // Others are not concerned.
    const other = send(second!);
    await haveAnswered(all, [0, 1]);
    await send(all.members[2]!);
    expect(await other).not.toBeNull();
    leaving.abort(new Error('enough'));
    await Promise.all(waiting);
  });
});
