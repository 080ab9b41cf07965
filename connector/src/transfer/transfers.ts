import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { AgreementStore } from '../agreement/agreement-store.ts';
import { RECEIVED_FORMAT } from '../data-plane/push/inbox.ts';
import { FoedusError } from '../errors.ts';
import type { Events } from '../events.ts';
import type { DataAddress, Transfer } from '../management/model.ts';
import type { Changes } from '../protocol/changes.ts';
import { createConversation, existing, type Conversation } from '../protocol/conversation.ts';
import { directionOf, HTTP_ENDPOINT, writeDataAddress } from '../protocol/data-address.ts';
import { writeReason } from '../protocol/messages.ts';
import type { Inbox } from '../protocol/inbox.ts';
import type { Outbox, ProcessKind } from '../protocol/outbox.ts';
import type { Process, ProcessStore } from '../protocol/process-store.ts';
import {
  isFinal,
  openStates,
  otherRole,
  transferMachine,
  type TransferMessageName,
  type TransferState,
} from '../protocol/state-machine.ts';
import { createStepper } from '../protocol/stepper.ts';
import type { Database } from '../store/database.ts';
import type { GroupCommit } from '../store/group-commit.ts';
import type { Transact } from '../store/transact.ts';
import { revoked, revokedByLeaving } from './access.ts';
import { createDataFlows, type DataFlows } from './data-flows.ts';
import { withoutCredentials } from './shown.ts';

export interface TransferOptions {
  readonly database: Database;
  readonly store: ProcessStore<Transfer>;
  readonly agreements: AgreementStore;
  readonly group: GroupCommit;
  readonly transact: Transact;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly events: Events;
  readonly changes: Changes;
  readonly logger: Logger;
  readonly clock: () => Date;
  /** Base of the protocol's paths as others reach it. */
  readonly baseUrl: () => string;
  /** Where this node receives what is pushed for a transfer. */
  readonly inboxOf: (transferId: string) => string;
  /** See `ConversationOptions`. */
  readonly heard: (participantId: string) => void;
  readonly moved: (kind: ProcessKind, process: Process) => void;
}

export type TransferConversation = Conversation<Transfer, TransferState, TransferMessageName>;
type Why = { readonly code?: string | undefined; readonly reason?: string | undefined };

/** The transfers of this node, in both roles. Every operation throws FoedusError `not-found`, `illegal-transition`. */
export interface Transfers extends AsyncDisposable {
  /** Asks for data under an agreement. @throws FoedusError also `conflict` while the agreement is not in force */
  request(wish: { agreementId: string; format: string; dataAddress?: DataAddress | undefined }): Promise<Transfer>;
  /** Resumes a transfer that this side has suspended. @throws FoedusError also `conflict` */
  start(id: string): Promise<Transfer>;
  suspend(id: string, why: Why): Transfer;
  complete(id: string): Transfer;
  terminate(id: string, why: Why): Transfer;
  /**
   * Revokes every token that was given out for a transfer that this node provides, and cuts what runs. Its consumer
   * gets new ones with the next start. @throws FoedusError also `conflict` for one that this node consumes
   */
  revoke(id: string): Transfer;
  /** The counterparty has resumed a transfer: whatever moves its data goes on. */
  resumed(transfer: Transfer): void;
  /** Takes up every open transfer, after a start. */
  recover(): void;
  readonly flows: DataFlows;
  readonly conversation: TransferConversation;
}

/** Topic of `Changes` for one transfer. */
export const transferTopic = (id: string): string => `transfer:${id}`;

export function createTransfers(options: TransferOptions): Transfers {
  const { store, agreements, transact, events, changes, clock, baseUrl, inboxOf, logger } = options;
  const flows = createDataFlows({
    ...options,
    registered: (format) => {
      for (const transfer of store.inStates(['REQUESTED'])) if (transfer.format === format) stepper.wake(transfer.id);
    },
  });
  const conversation: TransferConversation = createConversation({
    ...options,
    kind: 'transfer',
    machine: transferMachine,
    termination: 'TransferTerminationMessage',
    changed: (transaction, moved, before, by) => {
      const left = moved.role === 'provider' && before === 'STARTED' && moved.state !== 'STARTED';
      const ended = isFinal(transferMachine, moved.state);
      const kept = left ? revokedByLeaving(moved) : moved;
      const transfer = ended ? withoutCredentials(kept) : kept;
      if (transfer !== moved) store.save(transfer);
      events.record(transaction, { type: 'transfer', by, transfer });
      if (transfer.role === 'provider') flows.touch(transaction, transfer.format);
      transaction.after(() => {
        if (left) flows.find(transfer.format)?.stop(transfer);
        if (ended && transfer.role === 'provider') flows.find(transfer.format)?.ended?.(transfer);
        if (transfer.role === 'provider' && transfer.state === 'STARTED')
          flows.find(transfer.format)?.started?.(transfer);
        changes.notify(transferTopic(transfer.id));
        stepper.wake(transfer.id);
      });
    },
    inferred: (_transaction, { role }, name) =>
      name === 'TransferSuspensionMessage' ? { suspendedBy: otherRole(role) } : {},
  });

  /** Provider: starts what is requested, once there is something that moves the data. */
  const step = async (id: string): Promise<void> => {
    const seen = store.get(id);
    if (seen?.role !== 'provider' || seen.state !== 'REQUESTED') return;
    const flow = flows.find(seen.format);
    if (!flow) {
      logger.warn({ transfer: id, format: seen.format }, 'a transfer waits: nothing here moves data of its format');
      return;
    }
    let address: DataAddress | undefined;
    try {
      address = await flow.start(seen);
    } catch (error) {
      // Trouble that passes is no reason to end the transfer: the step is tried again.
      if (!(error instanceof FoedusError) || error.code === 'unavailable') throw error;
      const reason = error.message;
      transact((transaction) => {
        const now = store.get(id);
        if (now?.state === 'REQUESTED') conversation.terminate(transaction, now, { code: error.code, reason });
      });
      return;
    }
    const started = transact((transaction) => {
      const now = store.get(id);
      return (
        now?.state === 'REQUESTED' && conversation.say(transaction, now, 'TransferStartMessage', startWith(address))
      );
    });
    if (!started) flow.stop(seen);
  };
  const stepper = createStepper(step, logger);

  const say = (id: string, name: TransferMessageName, fields: object, patch: Partial<Transfer> = {}): Transfer =>
    transact((transaction) =>
      conversation.say(transaction, existing(store.get(id), 'transfer', id), name, { ...fields }, patch),
    );

  return {
    flows,
    conversation,
    request: async ({ agreementId, format, dataAddress: given }) => {
      const agreement = existing(agreements.get(agreementId), 'agreement', agreementId);
      if (agreement.role !== 'consumer' || !agreement.finalized) {
        throw new FoedusError(
          'conflict',
          agreement.role === 'consumer'
            ? `The agreement ${agreementId} is not in force: its negotiation is not FINALIZED.`
            : `This node is the provider under the agreement ${agreementId}: its consumer requests transfers.`,
        );
      }
      const id = `urn:uuid:${randomUUID()}`;
      const now = clock().toISOString();
      const here = format === RECEIVED_FORMAT && given?.endpoint === undefined;
      const dataAddress = here
        ? { endpointType: HTTP_ENDPOINT, properties: {}, ...given, endpoint: inboxOf(id) }
        : given;
      const transfer: Transfer = {
        id,
        role: 'consumer',
        state: 'REQUESTED',
        consumerPid: id,
        counterPartyId: agreement.counterPartyId,
        counterPartyAddress: agreement.counterPartyAddress,
        agreementId,
        datasetId: agreement.target,
        format,
        ...(dataAddress === undefined ? {} : { dataAddress }),
        createdAt: now,
        updatedAt: now,
      };
      return await conversation.begin(transfer, 'TransferRequestMessage', {
        consumerPid: id,
        agreementId,
        format,
        callbackAddress: baseUrl(),
        ...startWith(dataAddress),
      });
    },
    start: async (id) => {
      const transfer = existing(store.get(id), 'transfer', id);
      if (transfer.state === 'SUSPENDED' && transfer.suspendedBy !== transfer.role) {
        throw new FoedusError(
          'conflict',
          `The ${transfer.suspendedBy} has suspended this transfer; only it can resume it.`,
        );
      }
      if (transfer.role === 'consumer')
        return say(id, 'TransferStartMessage', {}, { suspendedBy: undefined, reason: undefined });
      const flow = flows.find(transfer.format);
      if (!flow) {
        throw new FoedusError(
          'conflict',
          `Nothing here moves data of the format ${transfer.format} yet. Start its data flow.`,
        );
      }
      const address = await flow.start(transfer);
      return say(id, 'TransferStartMessage', startWith(address), { suspendedBy: undefined, reason: undefined });
    },
    suspend: (id, why) => {
      const { role } = existing(store.get(id), 'transfer', id);
      return say(id, 'TransferSuspensionMessage', writeReason(why), {
        suspendedBy: role,
        ...(why.reason === undefined ? {} : { reason: why.reason }),
      });
    },
    complete: (id) => say(id, 'TransferCompletionMessage', {}),
    terminate: (id, why) =>
      transact((transaction) => conversation.terminate(transaction, existing(store.get(id), 'transfer', id), why)),
    revoke: (id) =>
      transact((transaction) => {
        const transfer = existing(store.get(id), 'transfer', id);
        if (transfer.role !== 'provider') {
          throw new FoedusError('conflict', `The provider of the transfer ${id} gives and takes its tokens.`);
        }
        if (directionOf(transfer.format) === 'push') {
          throw new FoedusError('conflict', `No tokens are given out for ${transfer.format}. Suspend the transfer.`);
        }
        const changed = revoked(transfer);
        store.save(changed);
        events.record(transaction, { type: 'transfer', by: 'us', transfer: changed });
        transaction.after(() => flows.find(transfer.format)?.stop(changed));
        return changed;
      }),
    resumed: (transfer) => {
      // The consumer keeps the data address it has: only what moves the data has to know.
      void flows
        .find(transfer.format)
        ?.start(transfer)
        .catch((error: unknown) => logger.error({ err: error, transfer: transfer.id }, 'a data flow did not resume'));
    },
    recover: () => {
      for (const transfer of store.inStates(openStates(transferMachine))) {
        stepper.wake(transfer.id);
        if (transfer.role === 'provider' && transfer.state === 'STARTED') {
          flows.find(transfer.format)?.started?.(transfer);
        }
      }
    },
    [Symbol.asyncDispose]: () => stepper[Symbol.asyncDispose](),
  };
}

function startWith(address: DataAddress | undefined): { dataAddress?: Record<string, unknown> } {
  return address === undefined ? {} : { dataAddress: writeDataAddress(address) };
}
