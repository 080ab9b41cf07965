import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import type { Logger } from 'pino';
import type { AgreementReader } from '../ledger/usage-control.ts';
import type { Asset, SignedAgreement, Transfer } from '../management/model.ts';
import { messageHandlers } from '../protocol/message-handler.ts';
import { directionOf } from '../protocol/data-address.ts';
import { readMessage, readReason, type Message } from '../protocol/messages.ts';
import { badMessage, illegal } from '../protocol/receive.ts';
import { peerAddress } from '../protocol/version.ts';
import type { Transfers } from './transfers.ts';

/** The transfer paths of DSP 2025-1, of both roles: the record that an id belongs to says which one is meant. */
export function transferRoutes(options: {
  transfers: Transfers;
  agreements: AgreementReader;
  assets: { get(id: string): Asset | undefined };
  clock: () => Date;
  logger: Logger;
}): Hono {
  const { transfers, agreements, assets, clock, logger } = options;
  const { conversation } = transfers;
  const { post, get } = messageHandlers('TransferError', logger);
  const app = new Hono({ strict: false });

  app.post(
    '/transfers/request',
    post(201, (incoming) => {
      const message = readMessage('TransferRequestMessage', incoming.body);
      const { consumerPid } = message;
      return conversation.hearFirst(incoming, 'TransferRequestMessage', 'consumer', consumerPid, (state): Transfer => {
        const { target } = checkRequest(message, incoming.caller, agreements.get(message.agreementId), assets);
        const id = `urn:uuid:${randomUUID()}`;
        const now = clock().toISOString();
        return {
          id,
          role: 'provider',
          state,
          consumerPid,
          providerPid: id,
          counterPartyId: incoming.caller,
          counterPartyAddress: peerAddress(message.callbackAddress),
          agreementId: message.agreementId,
          datasetId: target,
          format: message.format,
          ...(message.dataAddress === undefined ? {} : { dataAddress: message.dataAddress }),
          createdAt: now,
          updatedAt: now,
        };
      });
    }),
  );

  app.get(
    '/transfers/:id',
    get((caller, id) => conversation.stateFor(caller, id)),
  );

  app.post(
    '/transfers/:id/start',
    post(200, (incoming, id) => {
      const { dataAddress, ...pids } = readMessage('TransferStartMessage', incoming.body);
      return conversation.hear(incoming, id, 'TransferStartMessage', pids, (transaction, transfer) => {
        if (transfer.state === 'SUSPENDED' && transfer.suspendedBy === transfer.role) {
          // Else a consumer could undo what the provider has stopped for a reason.
          throw illegal('TransferStartMessage for what the other side has suspended', transfer.state, other(transfer));
        }
        if (transfer.role === 'provider') {
          transaction.after(() => transfers.resumed({ ...transfer, state: 'STARTED' }));
          return { suspendedBy: undefined, reason: undefined };
        }
        if (
          dataAddress === undefined &&
          transfer.dataAddress === undefined &&
          directionOf(transfer.format) === 'pull'
        ) {
          throw badMessage('$.dataAddress: is missing, and data of a pull format cannot be fetched without it');
        }
        const pulled = dataAddress !== undefined && directionOf(transfer.format) !== 'push';
        return {
          suspendedBy: undefined,
          reason: undefined,
          ...(pulled ? { dataAddress, dataAddressAt: clock().toISOString() } : {}),
        };
      });
    }),
  );

  app.post(
    '/transfers/:id/suspension',
    post(200, (incoming, id) => {
      const { consumerPid, providerPid, ...why } = readMessage('TransferSuspensionMessage', incoming.body);
      const pids = { consumerPid, providerPid };
      return conversation.hear(incoming, id, 'TransferSuspensionMessage', pids, (_transaction, transfer) => {
        const reason = readReason(why);
        return { suspendedBy: other(transfer), ...(reason === undefined ? {} : { reason }) };
      });
    }),
  );

  app.post(
    '/transfers/:id/completion',
    post(200, (incoming, id) => {
      const pids = readMessage('TransferCompletionMessage', incoming.body);
      return conversation.hear(incoming, id, 'TransferCompletionMessage', pids);
    }),
  );

  app.post(
    '/transfers/:id/termination',
    post(200, (incoming, id) => {
      const { consumerPid, providerPid } = readMessage('TransferTerminationMessage', incoming.body);
      return conversation.hear(incoming, id, 'TransferTerminationMessage', { consumerPid, providerPid });
    }),
  );
  return app;
}

/**
 * What can be said against a request when it comes. Whether the agreement still permits a use is decided at each use:
 * a transfer may outlive it.
 */
function checkRequest(
  { agreementId, format, dataAddress }: Message<'TransferRequestMessage'>,
  caller: string,
  agreement: SignedAgreement | undefined,
  assets: { get(id: string): Asset | undefined },
): SignedAgreement {
  if (agreement?.role !== 'provider' || agreement.counterPartyId !== caller || !agreement.finalized) {
    throw badMessage(`$.agreementId: there is no finalized agreement ${agreementId.slice(0, 200)} between us`);
  }
  const formats = assets.get(agreement.target)?.formats ?? [];
  if (!formats.includes(format)) {
    throw badMessage(
      `$.format: ${agreement.target} is not offered as ${format.slice(0, 200)}, only as: ${formats.join(', ')}`,
    );
  }
  if (directionOf(format) === 'push' && dataAddress === undefined) {
    throw badMessage(`$.dataAddress: is missing; ${format.slice(0, 200)} needs to know where to`);
  }
  return agreement;
}

function other({ role }: Transfer): Transfer['role'] {
  return role === 'consumer' ? 'provider' : 'consumer';
}
