import { metrics, trace } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { Duty, ReceivedNotice } from './duties/model.ts';
import type { UsageEvent } from './ledger/usage-control.ts';
import type { Negotiation, Transfer } from './management/model.ts';
import type { Drift } from './profile/model.ts';
import type { Changes } from './protocol/changes.ts';
import type { Database } from './store/database.ts';
import type { Transact, Transaction } from './store/transact.ts';

/**
 * The one place for what this node tells about itself: the log of business events in the store (part of the
 * transaction they belong to), log lines and metrics (after it).
 */

export type BusinessEvent =
  | { readonly type: 'negotiation'; readonly by: 'us' | 'them'; readonly negotiation: Negotiation }
  | { readonly type: 'agreement'; readonly agreementId: string; readonly step: 'received' | 'signed' | 'finalized' }
  | { readonly type: 'transfer'; readonly by: 'us' | 'them'; readonly transfer: Transfer }
  | { readonly type: 'schema'; readonly assetId: string; readonly drift: Drift }
  | { readonly type: 'undeliverable'; readonly processId: string; readonly message: string; readonly reason: string }
  | { readonly type: 'usage'; readonly usage: UsageEvent }
  | { readonly type: 'duty'; readonly duty: Duty }
  | { readonly type: 'notice'; readonly notice: ReceivedNotice };

export const eventTypes = [
  'negotiation',
  'agreement',
  'transfer',
  'schema',
  'undeliverable',
  'usage',
  'duty',
  'notice',
] as const satisfies readonly BusinessEvent['type'][];

export interface StoredEvent {
  readonly sequence: number;
  readonly at: string;
  readonly type: BusinessEvent['type'];
  /** The event as JSON. */
  readonly body: string;
}

export interface Events {
  /** Writes `event` into the log within `transaction`; log line and metric follow when it is durable. */
  record(transaction: Transaction, event: BusinessEvent): void;
  /** A decision or a charge of usage control. */
  usage(event: UsageEvent): void;
  /** Has `listener` called with every event inside its transaction, after it was written. */
  heed(listener: (transaction: Transaction, event: BusinessEvent) => void): void;
  delivered(message: string, recipient: string): void;
  retried(message: string, recipient: string, attempt: number, reason: string): void;
  /** A counterparty is out of reach, or back. */
  reachable(participantId: string, reachable: boolean, reason: string): void;
  /** At most 100 events after `sequence`, oldest first. */
  since(sequence: number): StoredEvent[];
  /** The newest event's number; 0 before the first. */
  latest(): number;
}

/** Topic of `Changes` that is notified after every event. */
export const EVENTS_TOPIC = 'events';

export function createEvents(options: {
  database: Database;
  transact: Transact;
  changes: Changes;
  logger: Logger;
  clock: () => Date;
}): Events {
  const { database, transact, changes, logger, clock } = options;
  const insert = database.sql.prepare('INSERT INTO event (at, type, body) VALUES (?, ?, ?)');
  const after = database.sql.prepare(
    'SELECT sequence, at, type, body FROM event WHERE sequence > ? ORDER BY sequence LIMIT 100',
  );
  const newest = database.sql.prepare('SELECT coalesce(max(sequence), 0) AS sequence FROM event');
  const meter = metrics.getMeter('@foedus/connector');
  const negotiations = meter.createCounter('foedus.negotiations', { description: 'Negotiations by final state' });
  const transfers = meter.createCounter('foedus.transfers', { description: 'State changes of transfers' });
  const messages = meter.createCounter('foedus.messages', { description: 'Outgoing messages by outcome' });
  const peers = meter.createUpDownCounter('foedus.peers.unreachable', { description: 'Counterparties out of reach' });
  const decisions = meter.createCounter('foedus.decisions', { description: 'Usage decisions and charges' });

  const duties = meter.createCounter('foedus.duties', { description: 'Duties by the state that they came to' });
  const listeners: ((transaction: Transaction, event: BusinessEvent) => void)[] = [];

  const tell = (event: BusinessEvent): void => {
    switch (event.type) {
      case 'negotiation': {
        const { id, role, state, counterPartyId, datasetId, reason, pendingDecision } = event.negotiation;
        const what = pendingDecision === undefined ? state : 'waits for a decision';
        const why = pendingDecision?.why ?? reason;
        logger.info({ negotiation: id, role, state, counterPartyId, datasetId, reason: why }, `negotiation ${what}`);
        if (state === 'FINALIZED' || state === 'TERMINATED') negotiations.add(1, { role, state });
        break;
      }
      case 'agreement':
        logger.info({ agreement: event.agreementId }, `agreement ${event.step}`);
        break;
      case 'transfer': {
        const { id, role, state, counterPartyId, agreementId, format, reason } = event.transfer;
        logger.info({ transfer: id, role, state, counterPartyId, agreementId, format, reason }, `transfer ${state}`);
        transfers.add(1, { role, state, format });
        break;
      }
      case 'schema':
        logger.warn({ asset: event.assetId, drift: event.drift }, 'a data set is not as it was published');
        break;
      case 'undeliverable':
        logger.warn({ process: event.processId, reason: event.reason }, `${event.message} was not delivered`);
        messages.add(1, { message: event.message, outcome: 'abandoned' });
        break;
      case 'usage': {
        const { usage } = event;
        const agreementId = usage.type === 'denied' ? usage.agreementId : usage.entry.agreementId;
        const reasons = usage.type === 'denied' ? usage.decision.reasons : undefined;
        logger.info({ agreement: agreementId, reasons }, `use ${usage.type}`);
        decisions.add(1, { outcome: usage.type });
        break;
      }
      case 'duty': {
        const { id, state, owedBy, dueAt, text, note } = event.duty;
        logger[state === 'overdue' ? 'warn' : 'info']({ duty: id, owedBy, dueAt, note }, `duty ${state}: ${text}`);
        duties.add(1, { state });
        break;
      }
      case 'notice': {
        const { from, notice } = event.notice;
        logger.info({ from, agreement: notice.agreementId }, `notice of a use, ${notice.when}`);
        break;
      }
    }
    changes.notify(EVENTS_TOPIC);
  };
  const record = (transaction: Transaction, event: BusinessEvent): void => {
    insert.run(clock().toISOString(), event.type, JSON.stringify(publicForm(event)));
    const span = trace.getActiveSpan();
    if (span?.isRecording()) span.addEvent(`foedus.${event.type}`);
    // In the next turn: first go the answer and the messages that somebody waits for.
    transaction.after(() => setImmediate(tell, event));
    for (const listener of listeners) listener(transaction, event);
  };

  return {
    record,
    usage: (usage) => transact((transaction) => record(transaction, { type: 'usage', usage })),
    heed: (listener) => void listeners.push(listener),
    delivered: (message, recipient) => {
      logger.debug({ message, recipient }, 'message delivered');
      messages.add(1, { message, outcome: 'delivered' });
    },
    retried: (message, recipient, attempt, reason) => {
      logger.warn({ message, recipient, attempt, reason }, 'message not delivered yet');
      messages.add(1, { message, outcome: 'retried' });
    },
    reachable: (participantId, reachable, reason) => {
      peers.add(reachable ? -1 : 1);
      if (reachable) logger.info({ participant: participantId }, 'a counterparty can be reached again');
      else logger.warn({ participant: participantId, reason }, 'a counterparty is out of reach: messages to it wait');
    },
    since: (sequence) => after.all(sequence) as unknown as StoredEvent[],
    latest: () => (newest.get() as { sequence: number }).sequence,
  };
}

/** A data address may hold a token: it is left out of the log and of the event stream. */
function publicForm(event: BusinessEvent): unknown {
  if (event.type !== 'transfer') return event;
  const { dataAddress: _secret, ...transfer } = event.transfer;
  return { ...event, transfer };
}
