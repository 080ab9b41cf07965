/**
 * One training task: follows one session for as long as its transfer is STARTED. Level-triggered: it always does what
 * the coordinator's current task says, and nothing has to be remembered between two tasks but what lies on disk.
 */
import { FoedusError } from '@foedus/connector/errors';
import type { Identity, PeerClient } from '@foedus/connector/identity';
import type { OperatorClient, SignedHead, Transfer } from '@foedus/connector/operator-client';
import {
  type EnrolmentClaims,
  type SessionDescription,
  type Task,
  createBackOff,
  documentHash,
  termsHash,
} from '@foedus/fl-core';
import type { Logger } from 'pino';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Charging, EvaluationCharging } from './charge.ts';
import { type CoordinatorClient, createCoordinatorClient } from './coordinator-client.ts';
import { checkDescription, trainingAddress } from './description.ts';
import { untilItWorks } from './retry.ts';
import { type RoundWork, createRoundWork } from './round-work.ts';
import type { TrainerPool } from './trainer-pool.ts';
import type { StartTrainer } from './trainer.ts';

/** Why a training task ends: the transfer is not STARTED any more. The coordinator is told. */
export class TransferEnded extends Error {
  override readonly name = 'TransferEnded';
  readonly code: 'transfer-suspended' | 'transfer-terminated' | 'transfer-completed';

  constructor(code: TransferEnded['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** How long a client tries to say that it leaves, in milliseconds. */
const FAREWELL_MS = 5_000;

export interface FollowOptions {
  readonly transfer: Transfer;
  readonly identity: Identity;
  readonly peers: PeerClient;
  readonly connector: OperatorClient;
  readonly charging: Charging & EvaluationCharging;
  readonly startTrainer: StartTrainer;
  /** Of all sessions. */
  readonly trainers: TrainerPool;
  /** Folder of all sessions. */
  readonly dataDir: string;
  readonly maxParameters: number;
  readonly now: () => Date;
  readonly logger: Logger;
  /** Aborts with TransferEnded, or with anything else when the program stops. */
  readonly signal: AbortSignal;
}

/** Returns when `signal` has aborted and everything has stopped. Never throws. */
export async function followSession(options: FollowOptions): Promise<void> {
  const { transfer, peers, signal, maxParameters } = options;
  let logger = options.logger.child({ transferId: transfer.id, agreementId: transfer.agreementId });
  let coordinator: CoordinatorClient | null = null;
  try {
    const { endpoint, sessionId } = trainingAddress(transfer);
    logger = logger.child({ sessionId });
    coordinator = createCoordinatorClient({ peers, endpoint, coordinator: transfer.counterPartyId, sessionId });
    const asked = coordinator;
    // Anything but a plan that does not fit may pass: a coordinator that is being started knows no session yet.
    const description = await untilItWorks(() => asked.describe(signal), { signal, logger, isPassing: () => true });
    checkDescription(description, transfer, sessionId, maxParameters);
    // Two coordinators may give their sessions the same id; under another agreement it is another session.
    const mark = createHash('sha256').update(transfer.agreementId).digest('hex').slice(0, 16);
    const folder = join(options.dataDir, 'sessions', `${sessionId}-${mark}`);
    await inTurn(folder, signal, () => takePart({ ...options, logger }, asked, description, folder));
  } catch (error) {
    if (!signal.aborted) {
      const reason =
        error instanceof FoedusError ? error.message : 'This node failed at the session; its log says why.';
      logger.error({ err: error }, `The session is not followed: ${reason}`);
      await farewell(coordinator, error instanceof FoedusError ? error.code : 'failed', reason);
      await aborted(signal);
    }
  }
  const { reason } = signal as { reason: unknown };
  if (!(reason instanceof TransferEnded)) return;
  logger.info({ code: reason.code }, reason.message);
  if (reason.code !== 'transfer-completed') await farewell(coordinator, reason.code, reason.message);
}

async function farewell(coordinator: CoordinatorClient | null, code: string, reason: string): Promise<void> {
  // The coordinator's own connector tells it as well: this is only faster, and in more words.
  await coordinator
    ?.depart({ code, reason: reason.slice(0, 2_000) }, AbortSignal.timeout(FAREWELL_MS))
    .catch(() => undefined);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Enrols and follows the tasks until `signal` aborts. Whatever fails, it starts again with enrolling. */
async function takePart(
  options: FollowOptions,
  coordinator: CoordinatorClient,
  description: SessionDescription,
  folder: string,
): Promise<void> {
  const { transfer, connector, charging, startTrainer, trainers, logger, signal } = options;
  const { plan, planHash, modelHash } = description;
  const trainer = trainers.trainer(async () => {
    const asset = await connector.asset(transfer.datasetId);
    if (asset.source.type !== 'parquet') {
      throw new FoedusError('conflict', `The data set ${asset.id} is no Parquet file: a trainer reads nothing else.`);
    }
    return await startTrainer({ plan, parquetPath: asset.source.path });
  });
  const work = createRoundWork({
    plan,
    planHash,
    agreementId: transfer.agreementId,
    modelHash,
    identity: options.identity,
    agreementHash: async () => documentHash((await connector.agreement(transfer.agreementId)).agreement),
    coordinator,
    charging,
    folder,
    trainer,
    logger,
  });
  const desk = createDesk(work, async () => await trainer[Symbol.asyncDispose](), logger, signal);
  const backOff = createBackOff();
  while (!signal.aborted) {
    try {
      const held = await coordinator.enrol(await enrolment(options, description), signal);
      await present(connector, transfer.agreementId, held, logger);
      logger.info('Enrolled');
      let after = 0;
      for (;;) {
        const task = await coordinator.nextTask(after, signal);
        backOff.reset();
        if (task === null) continue;
        after = task.seq;
        desk.put(task);
      }
    } catch (error) {
      if (signal.aborted) break;
      if (error instanceof LedgerTooOld) {
        desk.clear(error);
        await desk.cleared();
        await trainer[Symbol.asyncDispose]();
        throw new FoedusError('ledger-too-old', error.message, { cause: error });
      }
      logger.warn({ err: error }, `${error instanceof Error ? error.message : 'A call failed.'} Trying again.`);
      await backOff.wait(signal).catch(() => undefined);
    }
  }
  await desk.cleared();
  await trainer[Symbol.asyncDispose]();
}

/** The coordinator holds a newer head of this node's ledger than the ledger has: it was put back from a backup. */
class LedgerTooOld extends Error {}

/**
 * Shows the own connector the head that the coordinator holds, before anything is trained. What is no head of this
 * ledger proves nothing, and a coordinator that says so stops nobody.
 *
 * @throws LedgerTooOld with the connector's words
 */
async function present(
  connector: OperatorClient,
  agreementId: string,
  head: SignedHead | null,
  logger: Logger,
): Promise<void> {
  if (head === null) return;
  try {
    await connector.presentHead(agreementId, head);
  } catch (error) {
    if (!(error instanceof FoedusError) || error.code === 'unavailable') throw error;
    if (error.code === 'conflict') throw new LedgerTooOld(error.message);
    logger.warn({ err: error }, "The coordinator holds something that is no head of this node's ledger");
  }
}

const turns = new Map<string, Promise<void>>();

/**
 * Two transfers of one session under one agreement (one that is being ended, and its successor) never train at the same
 * time: a round's charge is for one update.
 */
async function inTurn(folder: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  const before = turns.get(folder) ?? Promise.resolve();
  const turn = (async () => {
    await Promise.race([before, aborted(signal)]);
    if (!signal.aborted) await work();
  })();
  // Who gives up waiting must not let the next one in before the one who is in has left.
  const left = Promise.allSettled([before, turn]).then(() => undefined);
  turns.set(folder, left);
  try {
    await turn;
  } finally {
    void left.then(() => turns.get(folder) === left && turns.delete(folder));
  }
}

async function enrolment(
  { transfer, identity, now }: FollowOptions,
  { plan, planHash, modelHash }: SessionDescription,
) {
  const claims: EnrolmentClaims = {
    type: 'FederatedTrainingEnrolment',
    sessionId: plan.sessionId,
    planHash,
    modelHash,
    participantId: identity.participantId,
    coordinator: transfer.counterPartyId,
    agreementId: transfer.agreementId,
    transferId: transfer.providerPid ?? transfer.id,
    issuedAt: now().toISOString(),
  };
  return { claims, jws: await identity.sign(claims) };
}

/** Tasks of one name are one task. */
function nameOf(task: Task): string {
  if (task.kind !== 'train' && task.kind !== 'evaluate') return task.kind;
  const terms = task.kind === 'train' && task.secure !== undefined ? termsHash(task.secure.terms) : '';
  return `${task.kind} ${task.round} ${task.modelHash} ${terms}`.trim();
}

/** Where the current task lies. A new task ends the one before; the same task again does not disturb it. */
function createDesk(
  work: RoundWork,
  disposeTrainer: () => Promise<void>,
  logger: Logger,
  ended: AbortSignal,
): { put(task: Task): void; clear(why: Error): void; cleared(): Promise<void> } {
  let current: { readonly name: string; readonly controller: AbortController; isDone: boolean } | null = null;
  let tail: Promise<void> = Promise.resolve();

  const perform = async (task: Task, signal: AbortSignal): Promise<void> => {
    if (task.kind !== 'pause') await work.keepOnly(task.kind === 'train' ? task.round : null);
    if (task.kind === 'train') await work.train(task, signal, ended);
    if (task.kind === 'evaluate') await work.evaluate(task, signal);
    if (task.kind === 'done') {
      logger.info({ reason: task.reason }, 'The session is over');
      await disposeTrainer();
    }
  };

  return {
    put(task) {
      const name = nameOf(task);
      if (current !== null && !current.isDone && current.name === name) return;
      current?.controller.abort(new Error(`The next task is: ${name}`));
      const controller = new AbortController();
      const entry = { name, controller, isDone: false };
      current = entry;
      const signal = AbortSignal.any([controller.signal, ended]);
      const before = tail;
      tail = (async () => {
        await before;
        try {
          if (!signal.aborted) await perform(task, signal);
        } catch (error) {
          if (!signal.aborted) logger.error({ err: error }, 'A task failed');
        } finally {
          entry.isDone = true;
        }
      })();
    },
    clear: (why) => current?.controller.abort(why),
    cleared: () => tail,
  };
}
