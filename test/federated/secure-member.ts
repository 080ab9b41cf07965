/** What tests of secure rounds have in common: trainers whose update is known, and a member that does what a test says. */
import {
  advertiseKeys,
  confirmSurvivors,
  createRandomBits,
  encode,
  encodeMaskedInput,
  initialParameters,
  maskInput,
  readUpdate,
  secureEncoding,
  secureSteps,
  shareSecrets,
  termsHash,
  unmask,
  type Advertised,
  type Confirmed,
  type Masked,
  type MemberEdges,
  type SealedShares,
  type SecureStep,
  type Shared,
  type SignedAdvertisement,
  type Task,
} from '@foedus/fl-core';
import type { Client, StartTrainer } from '@foedus/fl-client';
import type { SessionView } from '@foedus/fl-coordinator';
import { pino } from 'pino';
import { expect } from 'vitest';
import { untilItWorks } from '../../fl-client/src/flow/retry.ts';
import { parameters, type Federation, type Partner, type RunningCoordinator } from './federation.ts';
import { scriptedClient, type ScriptedClient } from './scripted-client.ts';

const never = new AbortController().signal;
const MAX_BYTES = 1 << 20;

export const securely = {
  secureAggregation: { mode: 'honest-server' as const, clip: 10 },
  evaluation: { holdOut: 0, salt: 's', metrics: [] },
};

/** AUC 0.75, and so many rows that noise changes little about it. */
export const histogram = { negatives: [0, 3e6, 1e6, 0], positives: [0, 1e6, 3e6, 0] };

/** At every place another value. */
export const updateOf = (scale: number): Float32Array =>
  Float32Array.from({ length: parameters }, (_, i) => scale * Math.sin(i + 1));

/** A trainer whose update is the same in every round. */
export function trainerOf(scale: number, hold: (round: number) => Promise<void> = async () => {}): StartTrainer {
  return async () => ({
    async trainRound(_model, round, { signal }) {
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      aborted.catch(() => undefined);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      await Promise.race([hold(round), aborted]);
      return { update: updateOf(scale), seconds: 0.01 };
    },
    evaluate: async () => ({ auc: 0.75, logLoss: 0.5 }),
    histogram: async () => histogram,
    [Symbol.asyncDispose]: async () => {},
  });
}

export async function modelOf(coordinator: RunningCoordinator, { id, plan }: SessionView): Promise<Float32Array> {
  const response = await coordinator.call('GET', `/api/sessions/${id}/model`);
  const expected = { sessionId: plan.sessionId, kind: 'model' } as const;
  return (await readUpdate(response.body!, { maxCount: parameters, expected })).parameters;
}

/** A session that nothing more will come of. */
export const hasEnded = ({ state }: SessionView): boolean => state === 'completed' || state === 'failed';

export interface Run extends AsyncDisposable {
  coordinator: RunningCoordinator;
  readonly clients: Client[];
}

/** The model is the initial one and a multiple of the known update. */
export async function expectMoved({ coordinator }: Run, view: SessionView, by: number): Promise<void> {
  const initial = initialParameters(view.plan);
  const [model, unit] = [await modelOf(coordinator, view), updateOf(1)];
  for (const [i, value] of model.entries()) expect(value).toBeCloseTo(initial[i]! + by * unit[i]!, 4);
}

/** A coordinator and real clients of partners, as long as a test lasts. */
export async function running(
  federation: Federation,
  partners: readonly Partner[],
  starts: readonly StartTrainer[],
  settings: Record<string, unknown> = {},
): Promise<Run> {
  await using stack = new AsyncDisposableStack();
  const run = { coordinator: await federation.coordinator(settings), clients: [] as Client[] };
  stack.defer(() => run.coordinator[Symbol.asyncDispose]());
  for (const [i, partner] of partners.entries()) {
    run.clients.push(await federation.client(partner, starts[i]!));
    stack.defer(() => run.clients[i]![Symbol.asyncDispose]());
  }
  const all = stack.move();
  return Object.assign(run, { [Symbol.asyncDispose]: () => all.disposeAsync() });
}

export async function startSession(
  { coordinator }: Run,
  draft: Parameters<RunningCoordinator['plan']>[0],
  partners: readonly Partner[],
): Promise<string> {
  const { id } = await coordinator.plan({ ...securely, ...draft }, partners);
  await coordinator.session('POST', `/api/sessions/${id}/start`, {});
  return id;
}

/** The real protocol, step by step, over real mutual TLS: it stops wherever the test does. */
export interface ScriptedMember extends AsyncDisposable {
  readonly client: ScriptedClient;
  readonly task: Extract<Task, { kind: 'train' }>;
  readonly keys: SignedAdvertisement;
  /** Sends what it has for the next step, once what came of the one before is there. @returns what it sent */
  step(): Promise<{ readonly step: SecureStep; readonly body: Uint8Array<ArrayBuffer> | string }>;
  /** All steps up to and with this one. */
  upTo(step: SecureStep): Promise<void>;
  /** What came of a step. */
  outcome(step: SecureStep): Promise<object>;
}

/** How a member departs from the protocol. */
export interface Lies {
  /** Its secrets, once it has advertised its keys. */
  readonly secrets?: (state: Advertised) => Advertised;
  /** What it seals for the others. */
  readonly shares?: (message: SealedShares) => SealedShares;
}

/** Waits for the next train task. */
export async function scriptedMember(client: ScriptedClient, scale: number, lies: Lies = {}): Promise<ScriptedMember> {
  const { identity } = client.partner;
  const task = await client.task('train');
  const { terms } = task.secure!;
  const { round } = task;
  const edges: MemberEdges = {
    random: createRandomBits(),
    sign: (document) => identity.sign(document),
    verify: (signature, document, participant) => identity.verify(signature, document, participant),
  };
  const first = await advertiseKeys(terms, identity.participantId, edges);
  const outcome = async (step: SecureStep): Promise<object> => {
    for (;;) {
      const message = await client.coordinator.stepOutcome(round, step, MAX_BYTES, never);
      if (message !== null) return message;
    }
  };
  let state: Advertised | Shared | Masked | Confirmed = lies.secrets?.(first.state) ?? first.state;
  let at = 0;
  const next: Readonly<Record<SecureStep, () => Promise<Uint8Array<ArrayBuffer> | object>>> = {
    keys: async () => first.message,
    async shares() {
      const shared = await shareSecrets(state as Advertised, await outcome('keys'), edges);
      state = shared.state;
      return lies.shares?.(shared.message) ?? shared.message;
    },
    async input() {
      const words = encode(updateOf(scale), secureEncoding(client.description.plan, terms));
      const masked = maskInput(state as Shared, await outcome('shares'), words);
      state = masked.state;
      const { sessionId } = terms;
      return encodeMaskedInput({ sessionId, round, termsHash: termsHash(terms), privacy: null }, masked.message);
    },
    async confirmation() {
      const confirmed = await confirmSurvivors(state as Masked, await outcome('input'), edges);
      state = confirmed.state;
      return { signature: confirmed.message };
    },
    unmasking: async () => unmask(state as Confirmed, await outcome('confirmation'), edges),
  };
  const step: ScriptedMember['step'] = async () => {
    const name = secureSteps[at++]!;
    const message = await next[name]();
    const body = message instanceof Uint8Array ? message : JSON.stringify(message);
    const { coordinator } = client;
    if (name === 'input') {
      const head = await client.charge(round);
      await coordinator.sendInput(round, body as Uint8Array<ArrayBuffer>, head, never);
    } else await coordinator.answerStep(round, name, body as string, never);
    return { step: name, body };
  };
  return {
    client,
    task,
    keys: first.message,
    step,
    async upTo(last) {
      while (secureSteps[at] !== undefined && at <= secureSteps.indexOf(last)) await step();
    },
    outcome,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** Enrols a scripted client, as soon as both connectors know the transfer. */
export async function enrolled(partner: Partner, sessionId: string): Promise<ScriptedClient> {
  const client = await scriptedClient(partner, sessionId);
  await untilItWorks(() => client.enrol(), { signal: never, logger: pino({ level: 'silent' }) });
  return client;
}
