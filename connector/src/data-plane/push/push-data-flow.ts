import type { Logger } from 'pino';
import { FoedusError } from '../../errors.ts';
import type { Identity } from '../../identity/index.ts';
import type { SignedHead } from '../../ledger/head.ts';
import type { LedgerHeads } from '../../ledger/heads.ts';
import type { AgreementReader, UsageControl } from '../../ledger/usage-control.ts';
import type { SignedAgreement, Transfer } from '../../management/model.ts';
import { pause, pauseBefore } from '../../protocol/back-off.ts';
import type { Database } from '../../store/database.ts';
import type { DataFlow } from '../../transfer/data-flow.ts';
import { limited } from '../format/body.ts';
import type { GrantedData } from '../granted-data.ts';
import { PARQUET } from '../format/parquet-output.ts';
import type { TransferReader } from '../pull/pull-data-flow.ts';
import { usageOf } from '../pull-request.ts';
import { openFile } from '../source/whole-file.ts';
import { createHttpExchange } from './http-exchange.ts';
import { createHttpReceiver } from './http-receiver.ts';
import type { Outbound } from './outbound.ts';
import { createCharging, inParts } from './parts.ts';
import { createPushStore, type StoredPush } from './push-store.ts';
import { HTTP_PUSH, readTarget, S3_PUSH, type PushTarget } from './push-target.ts';
import type { Part, Progress, Receiver } from './receiver.ts';
import { createTurns } from './turns.ts';

/** Pushes to one consumer that run at the same time: each reads a data set and holds parts of it. */
const MOST_AT_ONCE = 4;

export const PUSH_FORMATS = [HTTP_PUSH, S3_PUSH] as const;

/** What the control plane does when a push has ended. */
export interface PushControl {
  complete(transferId: string): unknown;
  terminate(transferId: string, why: { code: string; reason: string }): unknown;
}

export interface PushDataFlowOptions {
  readonly identity: Pick<Identity, 'tls'>;
  readonly usageControl: UsageControl;
  readonly agreements: AgreementReader;
  readonly transfers: TransferReader;
  readonly data: GrantedData;
  readonly heads: Pick<LedgerHeads, 'signed' | 'present'>;
  readonly database: Database;
  readonly outbound: Outbound;
  readonly control: PushControl;
  /** A push that has got nowhere for so long is given up. */
  readonly giveUpAfterSeconds: number;
  readonly logger: Logger;
}

export interface PushDataFlow extends AsyncDisposable {
  readonly flow: DataFlow;
}

interface Running {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/**
 * The data flows `HttpData-PUSH` and `AmazonS3-PUSH`: rows cut to the agreement go to where the consumer's data address
 * says, in parts. A part is charged and its hash stored before it leaves, so that a push which was cut or whose process
 * was killed makes the same parts again and goes on where the receiver is. A transfer that is not STARTED any more
 * stops at once; what can be pushed never ends as COMPLETED, what cannot as TERMINATED with the reason.
 */
export function createPushDataFlow(options: PushDataFlowOptions): PushDataFlow {
  const { usageControl, agreements, transfers, data, database, outbound, control, logger } = options;
  const store = createPushStore(database);
  const running = new Map<string, Running>();
  const turns = createTurns(MOST_AT_ONCE);

  const started = (id: string): Transfer => {
    const transfer = transfers.get(id);
    if (transfer?.role === 'provider' && transfer.state === 'STARTED') return transfer;
    throw new FoedusError('gone', 'The transfer was stopped.');
  };

  /** The use that a push is charged as: reserved once, whatever happens to the process. */
  const useOf = async (transfer: Transfer, target: PushTarget): Promise<StoredPush> => {
    const known = store.get(transfer.id);
    if (known !== undefined) return known;
    const { agreementId } = transfer;
    const request = usageOf(target.query);
    const key = `push/${transfer.id}`;
    const consent = await usageControl.ask(agreementId, request, { key });
    // Not one transaction with what follows: what is denied has to stay on record. After a crash in between, the key
    // gives the same use again.
    const { entry, decision } = usageControl.reserve({ agreementId, key, request, consent });
    store.begin(transfer.id, { entryId: entry.id, decision });
    return store.get(transfer.id)!;
  };

  const receiverOf = async (transfer: Transfer, target: PushTarget, signal: AbortSignal): Promise<Receiver> => {
    const { identity } = options;
    const { agreementId } = transfer;
    const heads = {
      signed: () => options.heads.signed(agreementId),
      present: (head: SignedHead) => options.heads.present(agreementId, head),
    };
    const common = { transferId: transfer.id, mediaType: target.format.mediaType, store, signal, heads };
    if (target.to.kind === 's3') {
      const { createS3Receiver } = await import('./s3-receiver.ts');
      return await createS3Receiver(target.to, { ...common, identity, outbound });
    }
    const exchange = createHttpExchange({ identity, outbound, counterPartyId: transfer.counterPartyId });
    return createHttpReceiver(target.to, exchange, common);
  };

  /** One attempt, from where the receiver is to the end. */
  const attempt = async (transfer: Transfer, signal: AbortSignal, progressed: (bytes: number) => void) => {
    const agreement = agreements.get(transfer.agreementId);
    if (agreement === undefined) throw new FoedusError('not-found', 'There is no such agreement any more.');
    const target = readTarget(transfer.format, transfer.dataAddress, outbound);
    const push = await useOf(transfer, target);
    if (push.finished) return;
    await using receiver = await receiverOf(transfer, target, signal);
    try {
      const progress = await receiver.open();
      const charged = store.parts(transfer.id).reduce((sum, { bytes }) => sum + bytes, 0);
      if (progress.bytes > charged) {
        throw new FoedusError('conflict', 'The receiver says that it has more than was ever sent.');
      }
      progressed(progress.bytes);
      if (!progress.complete)
        await sendFrom({ transfer, agreement, target, push, receiver, progress, signal, progressed });
      store.finish(transfer.id);
    } catch (error) {
      const hopeless = !signal.aborted && !isPassing(error);
      if (hopeless || transfers.get(transfer.id)?.state === 'TERMINATED') {
        await receiver.discard().catch(() => undefined);
      }
      throw error;
    }
  };

  const sendFrom = async (work: {
    transfer: Transfer;
    agreement: SignedAgreement;
    target: PushTarget;
    push: StoredPush;
    receiver: Receiver;
    progress: Progress;
    signal: AbortSignal;
    progressed: (bytes: number) => void;
  }): Promise<void> => {
    const { transfer, agreement, target, push, receiver, progress, signal } = work;
    const { decision, entryId } = push;
    let rows = 0;
    const scanOptions = { signal, beforeBatch: (more: number) => void (rows += more) };
    const asFile = target.format.mediaType === PARQUET;
    const granted = await data.open({ agreement, decision, query: target.query, asFile }, scanOptions);
    const charge = createCharging({
      database,
      store,
      transferId: transfer.id,
      rowsRead: () => {
        const read = rows;
        rows = 0;
        return read;
      },
      draw: (amounts) => {
        started(transfer.id);
        usageControl.draw(entryId, amounts);
      },
    });
    const send = async (part: Part): Promise<void> => {
      charge(part);
      const end = part.offset + part.bytes.length;
      if (end <= progress.bytes && !part.last) return;
      usageControl.commit(entryId);
      signal.throwIfAborted();
      const missing = Math.max(0, progress.bytes - part.offset);
      await receiver.send({ ...part, offset: part.offset + missing, bytes: part.bytes.subarray(missing) });
      work.progressed(end);
    };
    if (granted.kind === 'file') {
      rows = granted.rows;
      const file = await openFile(granted.path, { range: undefined, ifRange: undefined }, { signal });
      try {
        for await (const part of inParts(file.pieces(), receiver.partBytes)) await send(part);
      } finally {
        await file.close();
      }
      return;
    }
    await using stream = granted.rows;
    const pieces = limited(target.format.encode(stream.schema, stream.batches), granted.byteLimit);
    try {
      for await (const part of inParts(pieces, receiver.partBytes)) await send(part);
    } finally {
      await pieces.return(undefined);
    }
  };

  /** Attempts until it is done, stopped or hopeless. */
  const run = async (id: string, signal: AbortSignal): Promise<void> => {
    const giveUpAfter = options.giveUpAfterSeconds * 1000;
    let failures = 0;
    let furthest = -1;
    let lastProgress = performance.now();
    const progressed = (bytes: number): void => {
      if (bytes <= furthest) return;
      [furthest, failures, lastProgress] = [bytes, 0, performance.now()];
    };
    while (!signal.aborted) {
      try {
        const asked = performance.now();
        using _turn = await turns.take(started(id).counterPartyId, signal);
        // Waiting for others is no lack of progress.
        lastProgress += performance.now() - asked;
        await attempt(started(id), signal, progressed);
        logger.info({ transfer: id, bytes: furthest }, 'the data is pushed');
        end(id, (transferId) => control.complete(transferId));
        return;
      } catch (error) {
        if (signal.aborted || transfers.get(id)?.state !== 'STARTED') return;
        failures += 1;
        const late = performance.now() - lastProgress > giveUpAfter;
        if (!isPassing(error) || late) {
          logger.warn({ err: error, transfer: id }, 'a push is given up');
          const { code, message } = error instanceof FoedusError ? error : PUZZLE;
          end(id, (transferId) => control.terminate(transferId, { code, reason: message }));
          return;
        }
        logger.info({ err: error, transfer: id, attempt: failures }, 'a push is tried again');
        await pause(pauseBefore(failures), signal);
      }
    }
  };
  /** The other side may have ended it at the same time: then it is as it should be. */
  const end = (id: string, work: (id: string) => unknown): void => {
    try {
      work(id);
    } catch (error) {
      if (!(error instanceof FoedusError) || error.code !== 'illegal-transition') throw error;
    }
  };
  /** What was reserved for a push of which nothing has left. */
  const refundUnused = (id: string): void => {
    const push = store.get(id);
    if (push === undefined || store.parts(id).length > 0) return;
    try {
      usageControl.refund(push.entryId);
    } catch (error) {
      logger.error({ err: error, entry: push.entryId }, 'a reservation could not be refunded');
    }
  };

  /** The transfer is over: nothing of the push is needed any more but what is in the ledger. */
  const forget = (id: string): void => {
    try {
      refundUnused(id);
      database.transaction(() => store.forget(id));
    } catch (error) {
      logger.error({ err: error, transfer: id }, 'what is known of a push that has ended could not be erased');
    }
  };

  const stop = (id: string, why: string): void => running.get(id)?.stop.abort(new FoedusError('gone', why));
  const begin = (id: string): void => {
    const before = running.get(id);
    if (before !== undefined && !before.stop.signal.aborted) return;
    const controller = new AbortController();
    const work = async (): Promise<void> => {
      // A push that was stopped ends before the same one goes on.
      await before?.done;
      try {
        await run(id, controller.signal);
      } catch (error) {
        logger.error({ err: error, transfer: id }, 'a push failed');
      } finally {
        if (running.get(id)?.stop === controller) running.delete(id);
      }
    };
    running.set(id, { stop: controller, done: work() });
  };

  // The program may have ended between the end of a transfer and this.
  for (const id of store.leftBehind()) forget(id);

  return {
    flow: {
      formats: PUSH_FORMATS,
      async start(transfer) {
        // What is wrong with the address ends the transfer before it starts.
        readTarget(transfer.format, transfer.dataAddress, outbound);
        return undefined;
      },
      started: ({ id }) => begin(id),
      stop: ({ id }) => stop(id, 'The transfer was stopped.'),
      ended: ({ id }) => {
        const { done } = running.get(id) ?? {};
        if (done === undefined) forget(id);
        else void done.then(() => forget(id));
      },
    },
    async [Symbol.asyncDispose]() {
      for (const id of running.keys()) stop(id, 'The node is going down.');
      await Promise.allSettled([...running.values()].map(({ done }) => done));
    },
  };
}

const PUZZLE = { code: 'internal', message: 'The data could not be pushed; the log of the provider says why.' };

/** Whether another attempt may succeed. What nobody threw on purpose may pass, too. */
function isPassing(error: unknown): boolean {
  return !(error instanceof FoedusError) || error.code === 'unavailable';
}
