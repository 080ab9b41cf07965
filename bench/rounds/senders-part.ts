/**
 * Participants in a process of their own that say what the round protocol asks for, and train nothing: all of them at the
 * same time in each step, so that the coordinator has as much to hold as it can get.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { loadIdentity, type Identity } from '@foedus/connector/identity';
import { createOperatorClient, HEAD_HEADER, writeHeadHeader, type SignedHead } from '@foedus/connector/operator-client';
import { ensureToken } from '@foedus/connector/config';
import {
  advertiseKeys,
  confirmSurvivors,
  createRandomBits,
  encode,
  encodeMaskedInput,
  encodeUpdate,
  maskInput,
  secureEncoding,
  shareSecrets,
  termsHash,
  unmask,
  type Masked,
  type MemberEdges,
  type SecureStep,
  type Shared,
  type Task,
} from '@foedus/fl-core';
import { pino } from 'pino';
import { untilItWorks } from '../../fl-client/src/flow/retry.ts';
import type { Partner } from '../../test/federated/federation.ts';
import { scriptedClient, type ScriptedClient } from '../../test/federated/scripted-client.ts';
import type { Member } from './members-part.ts';
import { answerQuestions } from './part.ts';

type TrainTask = Extract<Task, { kind: 'train' }>;

/** A participant, and what it has to send in this round. */
interface Sender {
  readonly client: ScriptedClient;
  readonly task: TrainTask;
  readonly edges: MemberEdges;
  state?: Shared | Masked;
  input?: Uint8Array<ArrayBuffer>;
  /** Of its ledger, after the charge. */
  head?: SignedHead;
}

const MAX_BYTES = 1 << 24;
const never = new AbortController().signal;
const logger = pino({ level: 'silent' });
const stack = new AsyncDisposableStack();
let senders: Sender[] = [];

async function join(member: Member, sessionId: string): Promise<Sender> {
  const { participantId, agreementId, files, connector } = member;
  const identity = await loadIdentity(participantId, files);
  const token = await ensureToken(connector.tokenFile);
  const operator = createOperatorClient({ url: connector.url, token });
  const client = await scriptedClient({ participantId, agreementId, identity, operator } as Partner, sessionId);
  stack.use(client);
  await untilItWorks(() => client.enrol(), { signal: never, logger });
  const task = await client.task('train');
  const edges: MemberEdges = {
    random: createRandomBits(),
    sign: (document) => identity.sign(document),
    verify: (signature, document, participant) => identity.verify(signature, document, participant),
  };
  return { client, task, edges };
}

async function outcome({ client, task }: Sender, step: SecureStep): Promise<object> {
  for (;;) {
    const message = await client.coordinator.stepOutcome(task.round, step, MAX_BYTES, never);
    if (message !== null) return message;
  }
}

/** Pieces of what is sent: whoever sends for many at once must not have all of it encrypted and waiting. */
const PIECE_BYTES = 65_536;

function* piecesOf(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
}

/** PUTs as fast as the other side takes it. */
async function put({ tls }: Identity, url: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}): Promise<void> {
  const all = { ...headers, 'content-length': body.length };
  const sending = request(url, { ...tls, method: 'PUT', headers: all, agent: false });
  const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
  await pipeline(piecesOf(body), sending);
  const [answer] = await answered;
  const words = await text(answer);
  if ((answer.statusCode ?? 0) >= 300) throw new Error(words);
}

const updateOf = (parameters: number): Float32Array => Float32Array.from({ length: parameters }, (_, i) => Math.sin(i));

answerQuestions(
  {
    /** Everybody enrols and is asked to train. */
    async enrol({ members, sessionId }: { members: readonly Member[]; sessionId: string }) {
      senders = await Promise.all(members.map((member) => join(member, sessionId)));
    },

    /** Everybody reads the model at the same time. */
    async download() {
      await Promise.all(
        senders.map(async ({ client, task }) => {
          const url = `${client.root}/models/${task.round - 1}`;
          const get = () => client.peer.fetch(url, { timeoutMs: 600_000 });
          const response = await untilItWorks(get, { signal: never, logger });
          if (!response.ok) throw new Error(await response.text());
          for await (const _ of response.body as unknown as AsyncIterable<Uint8Array>);
        }),
      );
    },

    /** What everybody will upload; in secure rounds after the steps before. @returns bytes of one upload */
    async prepare({ parameters }: { parameters: number }) {
      const [first] = senders;
      const { task, client: one } = first!;
      const { plan, planHash } = one.description;
      const { sessionId } = plan;
      const { round } = task;
      const update = updateOf(parameters);
      for (const sender of senders) sender.head = await sender.client.charge(round);
      if (task.secure === undefined) {
        const input = encodeUpdate({ sessionId, planHash, round, kind: 'update' }, update);
        for (const sender of senders) sender.input = input;
        return input.length;
      }
      const { terms } = task.secure;
      await Promise.all(
        senders.map(async (sender) => {
          const { client, edges } = sender;
          const { participantId } = client.partner;
          const advertised = await advertiseKeys(terms, participantId, edges);
          await client.coordinator.answerStep(round, 'keys', JSON.stringify(advertised.message), never);
          const shared = await shareSecrets(advertised.state, await outcome(sender, 'keys'), edges);
          await client.coordinator.answerStep(round, 'shares', JSON.stringify(shared.message), never);
          sender.state = shared.state;
        }),
      );
      const words = encode(update, secureEncoding(plan, terms));
      for (const sender of senders) {
        const masked = maskInput(sender.state as Shared, await outcome(sender, 'shares'), words.slice());
        sender.state = masked.state;
        const header = { sessionId, round, termsHash: termsHash(terms), privacy: null };
        sender.input = encodeMaskedInput(header, masked.message);
      }
      return first!.input!.length;
    },

    /** Everybody from the first to before the last of these uploads at the same time. */
    async upload({ first, last }: { first: number; last: number }) {
      await Promise.all(
        senders.slice(first, last).map(async ({ client, task, input, head }) => {
          const path = `rounds/${task.round}/${task.secure === undefined ? 'update' : 'secure/input'}`;
          const headers = { [HEAD_HEADER]: writeHeadHeader(head!) };
          await put(client.partner.identity, `${client.root}/${path}`, input!, headers);
        }),
      );
    },

    /** The steps of a secure round after the uploads. */
    async unmask() {
      await Promise.all(
        senders.map(async (sender) => {
          const { client, task, edges } = sender;
          const { coordinator } = client;
          const confirmed = await confirmSurvivors(sender.state as Masked, await outcome(sender, 'input'), edges);
          await coordinator.answerStep(
            task.round,
            'confirmation',
            JSON.stringify({ signature: confirmed.message }),
            never,
          );
          const answer = await unmask(confirmed.state, await outcome(sender, 'confirmation'), edges);
          await coordinator.answerStep(task.round, 'unmasking', JSON.stringify(answer), never);
        }),
      );
    },

    /** What a server without a purpose would take: so many bytes from so many connections, all at the same time. */
    async sendBytes({ members, url, bytes }: { members: readonly Member[]; url: string; bytes: number }) {
      const body = randomBytes(bytes);
      await Promise.all(
        members.map(async ({ participantId, files }) => {
          await put(await loadIdentity(participantId, files), url, body);
        }),
      );
    },
  },
  () => stack.disposeAsync(),
);
