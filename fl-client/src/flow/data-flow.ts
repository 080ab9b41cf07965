/**
 * The client as a data flow of its own organisation's connector: what the connector says is STARTED is being trained,
 * what is not is not.
 */
import type { OperatorClient, Transfer } from '@foedus/connector/operator-client';
import { createBackOff } from '@foedus/fl-core';
import type { Logger } from 'pino';
import { TransferEnded } from './follow-session.ts';
import { createTurns } from './turns.ts';

export const TRANSFER_FORMAT = 'FederatedTraining-PUSH';

export interface TrainingFlow extends AsyncDisposable {
  /** Whether the own connector answered last time. */
  readonly connected: boolean;
  /** Ids of the transfers that are being followed. */
  readonly following: readonly string[];
}

/**
 * Registers the format and watches its transfers until it is disposed.
 *
 * @param follow runs one training task until its signal aborts; never throws
 */
export function startTrainingFlow(options: {
  readonly connector: Pick<OperatorClient, 'registerDataFlow' | 'flowTransfers' | 'transfer'>;
  readonly follow: (transfer: Transfer, signal: AbortSignal) => Promise<void>;
  /** Transfers of one counterparty that are followed at the same time; the others wait until one of them is over. */
  readonly mostSessions: number;
  readonly logger: Logger;
}): TrainingFlow {
  const { connector, follow, mostSessions, logger } = options;
  const turns = createTurns(mostSessions);
  const stopping = new AbortController();
  const tasks = new Map<string, { readonly controller: AbortController; readonly done: Promise<void> }>();
  let connected = false;

  /** Tasks that have been told to end; a transfer that is resumed waits for its own. */
  const ending = new Map<string, Promise<void>>();

  const begin = (transfer: Transfer): void => {
    const { id } = transfer;
    const controller = new AbortController();
    const { signal } = controller;
    const followInTurn = async (): Promise<void> => {
      const leave = await turns(transfer.counterPartyId, signal).catch(() => null);
      if (leave === null) return;
      logger.info({ transferId: id, counterParty: transfer.counterPartyId }, 'Training starts');
      await follow(transfer, signal).finally(leave);
    };
    const done = (ending.get(id) ?? Promise.resolve()).then(followInTurn);
    tasks.set(id, { controller, done });
  };

  const end = (id: string, why: Error): void => {
    const task = tasks.get(id);
    if (task === undefined) return;
    tasks.delete(id);
    task.controller.abort(why);
    const ended = task.done.finally(() => {
      logger.info({ transferId: id }, 'Training has stopped');
      if (ending.get(id) === ended) ending.delete(id);
    });
    ending.set(id, ended);
  };

  const reconcile = async (transfers: readonly Transfer[]): Promise<void> => {
    const byId = new Map(
      transfers.filter(({ role }) => role === 'provider').map((transfer) => [transfer.id, transfer]),
    );
    for (const id of tasks.keys()) {
      // The list holds what is not final: of the others the connector still knows how they ended.
      const transfer = byId.get(id) ?? (await connector.transfer(id).catch(() => undefined));
      if (transfer?.state !== 'STARTED') end(id, endOf(transfer));
    }
    for (const transfer of byId.values()) {
      if (transfer.state === 'STARTED' && !tasks.has(transfer.id)) begin(transfer);
    }
  };

  const watch = async (): Promise<void> => {
    const { signal } = stopping;
    const backOff = createBackOff({ longestMs: 5_000 });
    while (!signal.aborted) {
      try {
        await connector.registerDataFlow(TRANSFER_FORMAT);
        for (let after = -1; ;) {
          const { version, transfers } = await connector.flowTransfers(TRANSFER_FORMAT, after, signal);
          after = version;
          connected = true;
          backOff.reset();
          await reconcile(transfers);
        }
      } catch (error) {
        if (signal.aborted) return;
        connected = false;
        logger.warn({ err: error }, 'The own connector does not tell of its transfers; trying again');
        await backOff.wait(signal).catch(() => undefined);
      }
    }
  };
  const watching = watch();

  return {
    get connected() {
      return connected;
    },
    get following() {
      return [...tasks.keys()];
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await watching;
      for (const id of tasks.keys()) end(id, new Error('The client stops.'));
      await Promise.all(ending.values());
    },
  };
}

function endOf(transfer: Transfer | undefined): TransferEnded {
  const because = transfer?.reason === undefined ? '.' : `: ${transfer.reason}`;
  if (transfer?.state === 'COMPLETED') return new TransferEnded('transfer-completed', 'The transfer is completed.');
  if (transfer?.state === 'SUSPENDED')
    return new TransferEnded('transfer-suspended', `The transfer is suspended${because}`);
  return new TransferEnded('transfer-terminated', `The transfer is not open any more${because}`);
}
