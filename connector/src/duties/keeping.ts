import type { Logger } from 'pino';
import { Hono } from 'hono';
import type { ConnectorConfig } from '../config/index.ts';
import type { Events } from '../events.ts';
import type { Identity, PeerClient } from '../identity/index.ts';
import type { SignedAgreement } from '../management/model.ts';
import type { Database } from '../store/database.ts';
import type { Transact } from '../store/transact.ts';
import { createAlarm } from './alarm.ts';
import { createCourier } from './courier.ts';
import { createDeliveryStore } from './delivery-store.ts';
import { createDuties, DELETIONS, type Duties } from './duties.ts';
import { createDutyStore } from './duty-store.ts';
import type { Delivery, ReceivedNotice, UseNotice } from './model.ts';
import { dutyRoutes } from './peer-routes.ts';
import { createReceivedFiles, type ReceivedFiles } from './received-files.ts';
import { createSinks, origin } from './sinks.ts';
import { createUseDuties, type UseDuties } from './use-duties.ts';

/** Everything about duties that a connector does. Disposing it stops it; it goes on after the next start. */
export interface DutyKeeping extends AsyncDisposable {
  readonly duties: Duties;
  readonly uses: UseDuties;
  readonly files: ReceivedFiles;
  /** Receipts and notices of other connectors, for the mTLS port. */
  readonly routes: Hono;
  /** Begins, with what was open when the program ended last time. */
  start(): void;
}

export function createDutyKeeping(options: {
  identity: Identity;
  database: Database;
  transact: Transact;
  events: Events;
  agreements: { get(id: string): SignedAgreement | undefined };
  client: PeerClient;
  config: Pick<ConnectorConfig, 'duties' | 'delivery' | 'dataDir'>;
  /** Absolute paths of what this node has stored itself under an agreement. */
  storedData: (agreementId: string) => readonly string[];
  logger: Logger;
  clock: () => Date;
}): DutyKeeping {
  const { identity, database, transact, events, agreements, client, config, storedData, logger, clock } = options;
  const { participantId } = identity;
  const store = createDutyStore(database);
  const deliveries = createDeliveryStore(database);
  const files = createReceivedFiles(database, clock);
  const stack = new AsyncDisposableStack();
  const stopping = new AbortController();
  stack.defer(() => stopping.abort());

  const noticed = (from: string, notice: UseNotice): void =>
    transact((transaction) => {
      const received: ReceivedNotice = { id: notice.id, from, notice, receivedAt: clock().toISOString() };
      if (store.insertNotice(received)) events.record(transaction, { type: 'notice', notice: received });
    });
  const sinks = createSinks({
    participantId,
    config: config.duties,
    dataDir: config.dataDir,
    client,
    noticed: (payload) => noticed(participantId, payload as UseNotice),
    attemptTimeoutMs: config.delivery.attemptTimeoutSeconds * 1000,
  });
  const courier = stack.use(
    createCourier({
      store: deliveries,
      transact,
      logger,
      clock,
      longestPauseMs: config.delivery.longestPauseSeconds * 1000,
      carry: (parcel, signal) => sinks.carry(parcel, signal),
      taken: (transaction, { delivery }) => {
        if (delivery.kind !== 'receipt') return;
        duties.receiptDelivered(transaction, delivery.agreementId, delivery.duty, delivery.id);
      },
    }),
  );
  const alarm = stack.use(createAlarm({ clock, logger, ring: () => ring() }));
  const duties = createDuties({
    identity,
    store,
    agreements,
    transact,
    events,
    logger,
    clock,
    sendReceipt: (transaction, duty, signed) => {
      const agreement = agreements.get(duty.agreementId);
      if (agreement === undefined) return;
      const { counterPartyId } = agreement;
      // A lane of its own: one that is not taken keeps no other waiting.
      const lane = `receipt ${counterPartyId} ${origin(agreement)} ${signed.receipt.id}`;
      const delivery: Delivery = {
        id: signed.receipt.id,
        kind: 'receipt',
        agreementId: duty.agreementId,
        duty: duty.duty,
        to: counterPartyId,
        beforeUse: false,
        state: 'queued',
        attempts: 0,
        createdAt: clock().toISOString(),
      };
      deliveries.insert({ delivery, lane, payload: signed });
      transaction.after(() => courier.wake(lane));
    },
    changed: () => alarm.wake(),
  });
  events.heed((transaction, event) => duties.heed(transaction, event));

  /** Deletes what this node has stored itself, where the operator has asked for that, and reports it. */
  const deleteReceived = async (): Promise<void> => {
    for (const action of DELETIONS) {
      for (const duty of store.open(action)) {
        await files.recordAll(duty.agreementId, storedData(duty.agreementId));
        if (files.ofAgreement(duty.agreementId).length === 0) continue;
        const { deleted, problems } = await files.deleteAll(duty.agreementId);
        if (problems.length > 0) duties.remark(duty.id, problems.join(' '));
        else if (deleted.length > 0) await duties.fulfil(duty.id, { deletedFiles: deleted });
        else if (files.ofAgreement(duty.agreementId).every(({ deletedAt }) => deletedAt !== undefined)) {
          // The node went down between the deletion and its report, or everything was deleted before.
          await duties.fulfil(duty.id, { deletedFiles: files.ofAgreement(duty.agreementId) });
        }
      }
    }
  };
  const ring = async (): Promise<Date | undefined> => {
    const next = duties.advance();
    if (config.duties.deleteReceivedFiles) await deleteReceived();
    return next;
  };

  return {
    duties,
    files,
    uses: createUseDuties({
      participantId,
      duties,
      deliveries,
      sinks,
      courier,
      transact,
      clock,
      stopping: stopping.signal,
      failed: ({ to, agreementId, problem }) =>
        logger.warn({ to, agreement: agreementId, problem }, 'a use is refused: what has to be done before it fails'),
    }),
    routes: dutyRoutes({ duties, agreements, noticed, clock, logger }),
    start: () => {
      duties.recover();
      courier.recover();
      alarm.wake();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
