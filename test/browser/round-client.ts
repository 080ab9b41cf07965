/**
 * A small training client: everything between organisations is as in `fl-client` (transfer, enrolment, tasks, ledger,
 * update), only the learning is left out, so that a test of the page does not wait for it.
 */
import type { Home } from '../../demo/src/space/layout.ts';
import { operatorOf } from '../../demo/src/story/operators.ts';
import { epsilonAfter } from '../../demo/src/story/training.ts';
import { createPeerClient, type PeerClient } from '@foedus/connector/identity';
import { FoedusError } from '@foedus/connector/errors';
import { HEAD_HEADER, type OperatorClient, type SignedHead, writeHeadHeader } from '@foedus/connector/operator-client';
import {
  UPDATE_MEDIA_TYPE,
  encodeUpdate,
  initialParameters,
  sessionDescriptionSchema,
  taskSchema,
  type ClientPhase,
  type EnrolmentClaims,
  type ScoreHistogram,
  type SessionPlan,
  type Task,
} from '@foedus/fl-core';
import { identityOf } from '../../demo/src/story/trade.ts';
import type { Gate } from './gate.ts';

const format = 'FederatedTraining-PUSH';
type TrainTask = Extract<Task, { kind: 'train' }>;

export interface RoundClientOptions {
  readonly home: Home;
  readonly coordinator: string;
  readonly gate: Gate;
  /** What it reports of its held-out rows after a round. */
  readonly metrics: (round: number) => ScoreHistogram;
  readonly signal: AbortSignal;
}

/** One session, as this client takes part in it. */
interface Part extends RoundClientOptions {
  readonly operator: OperatorClient;
  readonly peer: PeerClient;
  readonly root: string;
  readonly agreementId: string;
  readonly plan: SessionPlan;
  readonly planHash: string;
}

async function call(part: Pick<Part, 'peer' | 'coordinator' | 'signal'>, url: string, init: RequestInit = {}) {
  const response = await part.peer.fetch(url, { ...init, signal: part.signal, expect: part.coordinator });
  if (response.ok) return response;
  const { code, message } = (await response.json()) as { code: string; message: string };
  throw new FoedusError(code, message);
}

function post(part: Part, path: string, body: unknown, head: SignedHead | null = null): Promise<Response> {
  return call(part, `${part.root}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(head && { [HEAD_HEADER]: writeHeadHeader(head) }) },
    body: JSON.stringify(body),
  });
}

const phase = (part: Part, round: number, name: ClientPhase['phase']): Promise<Response> =>
  post(part, 'phase', { round, phase: name });

/** Charges the own connector's ledger. @returns ε spent and allowed after that, and the head that goes with the update. @throws FoedusError the node's refusal */
async function charge({ operator, agreementId, plan, planHash }: Part, { round, cohort }: TrainTask) {
  const { privacy, local, sessionId, purpose, features, label } = plan;
  if (privacy === null) throw new Error('this client trains under a privacy budget only');
  const epsilon = epsilonAfter(plan, round) - (round === 1 ? 0 : epsilonAfter(plan, round - 1));
  const columns = [...new Set([label.column, ...features.map(({ column }) => column)])];
  const privacyLoss = { epsilon, delta: privacy.delta };
  const { entry } = await operator.reserve({
    agreementId,
    key: `train/${sessionId}/${round}`,
    request: {
      action: 'https://w3id.org/foedus/policy#train',
      purpose,
      columns,
      training: { sessionId, round, planHash, cohort, privacyLoss, metrics: [] },
    },
    basis: {
      mechanism: 'poisson-subsampled-gaussian',
      noiseMultiplier: privacy.noiseMultiplier,
      samplingRate: local.samplingRate,
      steps: local.steps,
    },
  });
  const { head } = await operator.commit(entry.id);
  const { spent, limits } = await operator.account(agreementId);
  return { privacy: { epsilonSpent: spent.epsilon, epsilonLimit: limits.epsilon, delta: privacy.delta }, head };
}

async function train(part: Part, task: TrainTask): Promise<void> {
  const { round } = task;
  await phase(part, round, 'training');
  await part.gate.waitFor(round);
  await phase(part, round, 'charging');
  try {
    const { privacy, head } = await charge(part, task);
    await phase(part, round, 'uploading');
    const update = initialParameters(part.plan).fill(0);
    const { sessionId } = part.plan;
    const header = {
      sessionId,
      planHash: part.planHash,
      round,
      kind: 'update',
      privacy,
      trainingSeconds: 0.2,
    } as const;
    await call(part, `${part.root}/rounds/${round}/update`, {
      method: 'PUT',
      headers: { 'content-type': UPDATE_MEDIA_TYPE, [HEAD_HEADER]: writeHeadHeader(head) },
      body: encodeUpdate(header, update),
    });
    await phase(part, round, 'waiting');
  } catch (error) {
    if (!(error instanceof FoedusError) || error.code === 'round-over') throw error;
    await post(part, `rounds/${round}/refusal`, { code: error.code, reason: error.message });
  }
}

async function perform(part: Part, task: Task): Promise<void> {
  if (task.kind === 'train') await train(part, task);
  if (task.kind !== 'evaluate') return;
  await phase(part, task.round, 'evaluating');
  const head = await part.operator.ledgerHead(part.agreementId);
  await post(part, `rounds/${task.round}/evaluation`, { metrics: {}, histogram: part.metrics(task.round) }, head);
}

/** Performs tasks until the coordinator says that the session is done. */
async function follow(part: Part): Promise<void> {
  for (let after = -1; ;) {
    const response = await call(part, `${part.root}/task?after=${after}&wait=20`);
    if (response.status === 204) continue;
    const task = taskSchema.parse(await response.json());
    if (task.kind === 'done') return;
    after = task.seq;
    await perform(part, task).catch((error: unknown) => {
      // Another round may have begun meanwhile: the next task says which.
      if (!(error instanceof FoedusError) || error.code !== 'round-over') throw error;
    });
  }
}

/** Enrols for each transfer that is started at the own connector and follows its session, until `signal` aborts. */
export async function runRoundClient(options: RoundClientOptions): Promise<void> {
  const { home, coordinator, signal } = options;
  const operator = operatorOf(home);
  const identity = await identityOf(home);
  await using peer = createPeerClient(identity);
  await operator.registerDataFlow(format);
  const done = new Set<string>();
  for (let version = 0; !signal.aborted;) {
    const answer = await operator.flowTransfers(format, version, signal);
    version = answer.version;
    const transfer = answer.transfers.find(({ id, state }) => state === 'STARTED' && !done.has(id));
    if (transfer === undefined) continue;
    const sessionId = transfer.dataAddress?.properties['sessionId'] ?? '';
    const root = `${transfer.dataAddress?.endpoint}/fl/v1/sessions/${sessionId}`;
    const described = await call({ peer, coordinator, signal }, root);
    const { plan, planHash, modelHash, agreementId } = sessionDescriptionSchema.parse(await described.json());
    const part: Part = { ...options, operator, peer, root, agreementId, plan, planHash };
    const claims: EnrolmentClaims = {
      type: 'FederatedTrainingEnrolment',
      sessionId,
      planHash,
      modelHash,
      participantId: identity.participantId,
      coordinator,
      agreementId,
      transferId: transfer.providerPid ?? '',
      issuedAt: new Date().toISOString(),
    };
    await post(part, 'enrolment', { claims, jws: await identity.sign(claims) });
    await follow(part);
    done.add(transfer.id);
    // The answer may hold others; ask for all again.
    version = 0;
  }
}
