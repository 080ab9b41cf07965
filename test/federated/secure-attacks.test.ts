/** A coordinator and members that do not follow the protocol, against the real other side. */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  openRound,
  parametersHash,
  planHash as hashOf,
  secureTask,
  sessionPlanSchema,
  type KeysStage,
  type Outgoing,
  type SecureStep,
  type SecureTask,
  type SessionPlan,
  type Task,
} from '@foedus/fl-core';
import type { Identity } from '@foedus/connector/identity';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Charging, Quote } from '../../fl-client/src/flow/charge.ts';
import type { CoordinatorClient } from '../../fl-client/src/flow/coordinator-client.ts';
import { createRoundCalls } from '../../fl-client/src/flow/round-calls.ts';
import { createSecureWork } from '../../fl-client/src/flow/secure-work.ts';
import { createUpdateFiles } from '../../fl-client/src/flow/update-files.ts';
import { createDataSpace, type DataSpace } from '../src/connectors.ts';
import { parameters, plan as draft } from './federation.ts';
import { securely, updateOf } from './secure-member.ts';

type TrainTask = Extract<Task, { kind: 'train' }>;
const names = ['bdl', 'pvd', 'tul'] as const;
const never = new AbortController().signal;
const modelHash = parametersHash(new Float32Array(parameters));

let space: DataSpace;
let folder: string;
const identities = new Map<string, Identity>();
beforeAll(async () => {
  space = await createDataSpace();
  folder = await mkdtemp(join(tmpdir(), 'foedus-attacks-'));
  for (const name of names) identities.set(name, await space.enrol(name));
});
afterAll(async () => {
  await space?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const plan: SessionPlan = sessionPlanSchema.parse({
  ...draft,
  ...securely,
  minimumCohort: 2,
  version: 1,
  sessionId: '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e90',
  coordinator: 'did:web:coordinator.example',
});
const planHash = hashOf(plan);
const agreementHash = (name: string): string => Buffer.from(name.padEnd(32)).toString('hex');
const policyOf = (name: string) => [`did:web:${name}.example`, agreementHash(name)] as const;
const taskFor = (change: Partial<Parameters<typeof secureTask>[0]> = {}): TrainTask => {
  const policies = names.map(policyOf);
  const options = { plan, planHash, round: 1, modelHash, policies, minimumCohort: 2, ...change };
  const { round } = options;
  return { kind: 'train', seq: 1, round, modelHash: options.modelHash, cohort: 3, secure: secureTask(options) };
};

/** What a member sends for a step, and what it is told came of it: by whoever plays the coordinator. */
interface Desk {
  readonly answered: (name: string, step: SecureStep, message: Buffer | object) => void;
  readonly outcome: (name: string, step: SecureStep) => Promise<object>;
}

/** A real member, whose ledger is a list and whose coordinator is the test's desk. */
async function member(name: string, desk: Desk) {
  const identity = identities.get(name)!;
  const charges: number[] = [];
  const sent: { readonly step: SecureStep; readonly body: Buffer | object }[] = [];
  const limits: number[] = [];
  const charging: Charging = {
    quote: async (): Promise<Quote> => ({
      request: { action: 'train' },
      isPermitted: true,
      isCharged: false,
      privacy: null,
    }),
    async charge({ agreementId, round }) {
      charges.push(round);
      const spent = { uses: 0, rounds: 1, epsilon: 0, rows: 0, bytes: 0 };
      const head = { agreementId, sequence: 1, hash: '0'.repeat(64), at: new Date().toISOString(), spent };
      return { head, signature: await identity.sign(head) };
    },
    present: async (_agreementId, held) => held,
  };
  /** Always before there is an outcome. */
  const take = (step: SecureStep, message: Buffer | object): null => {
    sent.push({ step, body: message });
    desk.answered(name, step, message);
    return null;
  };
  const coordinator: Pick<CoordinatorClient, 'answerStep' | 'sendInput' | 'stepOutcome' | 'refuse' | 'phase'> = {
    answerStep: async (_round, step, body) => take(step, JSON.parse(body) as object),
    sendInput: async (_round, bytes) => take('input', Buffer.from(bytes)),
    stepOutcome: (_round, step, maxBytes) => {
      limits.push(maxBytes);
      return desk.outcome(name, step);
    },
    refuse: async () => {},
    phase: async () => {},
  };
  const logger = pino({ level: 'silent' });
  const own = join(folder, `${name}-${randomBytes(4).toString('hex')}`);
  const start = () =>
    createSecureWork({
      plan,
      planHash,
      agreementId: `urn:${name}`,
      modelHash,
      identity,
      coordinator: coordinator as CoordinatorClient,
      calls: createRoundCalls({ coordinator: coordinator as CoordinatorClient, charging, logger }),
      masked: createUpdateFiles(own, 'masked'),
      answers: createUpdateFiles(own, 'answer'),
      agreementHash: async () => agreementHash(name),
      trainRound: async () => updateOf(0.1),
      logger,
    });
  return {
    identity,
    charges,
    sent,
    limits,
    work: start(),
    restarted: start,
    stepsSent: () => sent.map(({ step }) => step),
  };
}

/** What the stage of a step takes: the words of a masked input, the signature alone of a confirmation. */
function contentOf(step: SecureStep, message: Buffer | object): unknown {
  if (step === 'confirmation') return (message as { signature: string }).signature;
  // After the frame's magic, version and header comes the payload (fl-core/src/update/frame.ts).
  return Buffer.isBuffer(message) ? message.subarray(10 + message.readUInt32LE(6)) : message;
}

/** A coordinator that keeps to the protocol but for what `twist` makes of an outcome. */
type Twist = (name: string, step: SecureStep, honest: object, all: Outgoing<object>) => object;

function twisted(task: SecureTask, twist: Twist = (_name, _step, honest) => honest) {
  const { cohort } = task.terms;
  const verify: Parameters<typeof openRound>[1] = (signature, document, participant) =>
    identities.get('bdl')!.verify(signature, document, participant);
  const keys: KeysStage = openRound(task.terms, verify);
  let stage: { accept(member: number, message: never): void | Promise<void>; close(): unknown } = keys;
  const outcomes = new Map<SecureStep, PromiseWithResolvers<Outgoing<object>>>();
  const outcomeOf = (step: SecureStep) => {
    if (!outcomes.has(step)) outcomes.set(step, Promise.withResolvers());
    return outcomes.get(step)!;
  };
  const counts = new Map<SecureStep, number>();
  let chain = Promise.resolve();
  const take = async (name: string, step: SecureStep, message: Buffer | object): Promise<void> => {
    const content = contentOf(step, message);
    // What this side refuses, because its own lie comes back, it takes note of all the same.
    await (async () => stage.accept(cohort.indexOf(`did:web:${name}.example`), content as never))().catch(() => {});
    counts.set(step, (counts.get(step) ?? 0) + 1);
    if (counts.get(step) !== names.length || step === 'unmasking') return;
    const { next, outgoing } = stage.close() as { next: typeof stage; outgoing: Outgoing<object> };
    stage = next;
    outcomeOf(step).resolve(outgoing);
  };
  const desk: Desk = {
    answered(name, step, message) {
      const before = chain;
      chain = (async () => {
        await before;
        await take(name, step, message);
      })();
    },
    async outcome(name, step) {
      const outgoing = await outcomeOf(step).promise;
      return twist(name, step, outgoing.get(cohort.indexOf(`did:web:${name}.example`))!, outgoing);
    },
  };
  return desk;
}

const all = async (desk: Desk) =>
  new Map(await Promise.all(names.map(async (name) => [name, await member(name, desk)] as const)));
const failure = (work: Promise<void>): Promise<string> =>
  work.then(
    () => 'took part',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );

describe('a member', () => {
  test('follows a coordinator that keeps to the protocol, answers to unmask once, and to nothing in that round again', async () => {
    const task = taskFor();
    const members = await all(twisted(task.secure!));
    await Promise.all([...members.values()].map(({ work }) => work.train(task, never, never)));
    for (const { stepsSent, charges, work, restarted, sent } of members.values()) {
      expect(stepsSent()).toEqual(['keys', 'shares', 'input', 'confirmation', 'unmasking']);
      expect(charges).toEqual([1]);
      // Asked again by the same process: nothing. After a restart: the same answer, byte for byte, and no other.
      await work.train(task, never, never);
      expect(sent).toHaveLength(5);
      await restarted().train(task, never, never);
      expect(sent.slice(5)).toEqual([sent[4]]);
      // And under other terms not even that.
      expect(await failure(restarted().train(taskFor({ minimumCohort: 3 }), never, never))).toBe('already-released');
      expect(sent).toHaveLength(6);
    }
  });

  test('takes part in one set of terms a round: other ones in the middle of it are refused', async () => {
    const task = taskFor();
    const { work, sent } = await member('bdl', twisted(task.secure!));
    const waiting = new AbortController();
    const first = failure(work.train(task, waiting.signal, waiting.signal));
    await expect.poll(() => sent.length).toBe(1);
    expect(await failure(work.train(taskFor({ minimumCohort: 3 }), never, never))).toBe('terms-changed');
    expect(sent).toHaveLength(1);
    waiting.abort();
    void first;
  });

  test('sends no key for another model, plan, agreement or smaller cohort than it knows, nor a bare update', async () => {
    const other = 'ab'.repeat(32);
    const task = taskFor();
    const swapped = names.map((name) => [`did:web:${name}.example`, other] as const);
    const pairOnly = taskFor({
      policies: names.slice(0, 1).map(policyOf),
    });
    for (const [wrong, code] of [
      [{ ...taskFor({ modelHash: other }), modelHash }, 'secure-aggregation-failed'],
      [taskFor({ planHash: other }), 'secure-aggregation-failed'],
      [taskFor({ policies: swapped }), 'secure-aggregation-failed'],
      [
        { ...task, secure: { ...task.secure!, terms: { ...task.secure!.terms, minimumCohort: 1 } } },
        'secure-aggregation-failed',
      ],
      [pairOnly, 'secure-aggregation-failed'],
      // It would subtract its own input from the sum of two.
      [taskFor({ policies: [...names.slice(0, 1), 'coordinator'].map(policyOf) }), 'secure-aggregation-failed'],
      [{ ...task, secure: undefined }, 'plan-rejected'],
    ] as const) {
      const { work, sent, charges } = await member('bdl', twisted(task.secure!));
      expect(await failure(work.train(wrong as TrainTask, never, never))).toBe(code);
      expect([...sent, ...charges]).toEqual([]);
    }
  });

  test('that is given another model than the rest is alone: the others’ keys are for another round', async () => {
    const task = taskFor();
    const members = await all(twisted(task.secure!));
    const odd = { ...taskFor({ modelHash: 'cd'.repeat(32) }) };
    // The odd one signs for its own terms; whoever gets that advertisement finds another round in it.
    const { sent } = members.get('tul')!;
    const run = members.get('tul')!.work.train(odd, never, AbortSignal.timeout(10_000));
    await expect.poll(() => sent.length).toBe(1);
    const stage = openRound(task.secure!.terms, async () => {});
    await expect(stage.accept(2, sent[0]!.body)).rejects.toMatchObject({ code: 'other-round' });
    void run.catch(() => undefined);
  });

  test('reads no more of an answer than its neighbours’ keys can take, however large a cohort it is told of', async () => {
    const others = Array.from({ length: 60_000 }, (_, i) => [`did:web:c${i}.example`, agreementHash('c')] as const);
    const policies = [['did:web:bdl.example', agreementHash('bdl')] as const, ...others];
    const task = taskFor({ policies });
    const { work, limits } = await member('bdl', { answered: () => {}, outcome: () => new Promise(() => {}) });
    const stop = new AbortController();
    const run = failure(work.train(task, stop.signal, stop.signal));
    await expect.poll(() => limits.length, { timeout: 20_000 }).toBe(1);
    // What a node can hold beside its model; with everybody's keys it would be 1.5 GB.
    expect(limits[0]).toBeLessThanOrEqual(1 << 26);
    stop.abort();
    void run;
  });

  const lies: readonly {
    readonly lie: string;
    readonly twist: Twist;
    readonly until: readonly SecureStep[];
  }[] = [
    {
      lie: 'that leaves members out of the survivors of one view (split view)',
      twist: (name, step, honest, views) => {
        if (name !== 'bdl' || (step !== 'input' && step !== 'confirmation')) return honest;
        if (step === 'input') return { ...honest, survivors: [0, 1] };
        const signatures = [...views.values()].flatMap(
          (view) => (view as { signatures: [number, string][] }).signatures,
        );
        return { ...[...views.values()][0], signatures: signatures.filter(([from]) => from === 1) };
      },
      until: ['keys', 'shares', 'input', 'confirmation'],
    },
    {
      lie: 'that names fewer survivors than the minimum cohort',
      twist: (_name, step, honest) => (step === 'input' ? { ...honest, survivors: [0] } : honest),
      until: ['keys', 'shares', 'input'],
    },
    {
      lie: 'that says a member itself has dropped out, to get its key, and asks it for its mask',
      twist: (name, step, honest) => (step === 'input' && name === 'bdl' ? { ...honest, survivors: [1, 2] } : honest),
      until: ['keys', 'shares', 'input'],
    },
    {
      lie: 'that puts a key of its own into the roster',
      twist: (name, step, honest) => {
        if (step !== 'keys' || name !== 'bdl') return honest;
        const roster = structuredClone(honest) as { neighbours: [number, { advertisement: { maskKey: string } }][] };
        roster.neighbours[0]![1].advertisement.maskKey = 'ef'.repeat(32);
        return roster;
      },
      until: ['keys'],
    },
    {
      lie: 'that hands on too few confirmations',
      twist: (_name, step, honest) => (step === 'confirmation' ? { ...honest, signatures: [] } : honest),
      until: ['keys', 'shares', 'input', 'confirmation'],
    },
  ];
  test.for(lies)('gives nothing away to a coordinator $lie', async ({ twist, until }) => {
    const task = taskFor();
    const members = await all(twisted(task.secure!, twist));
    const stop = AbortSignal.timeout(3_000);
    const { work, stepsSent } = members.get('bdl')!;
    const others = (['pvd', 'tul'] as const).map((name) => failure(members.get(name)!.work.train(task, stop, stop)));
    expect(await failure(work.train(task, stop, stop))).toBe('secure-aggregation-failed');
    expect(stepsSent()).toEqual(until);
    void others;
  });
});
