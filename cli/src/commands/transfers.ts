import { ownConnector } from '../own-connector.ts';
import { print, printTable, time } from '../terminal.ts';

/** Lists the transfers of the own connector. */
export async function listTransfers({ config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const transfers = await operator.transfers();
  printTable(
    ['state', 'role', 'with', 'data set', 'format', 'agreement', 'changed', 'reason'],
    transfers.map((one) => [
      one.state,
      one.role,
      one.counterPartyId,
      one.datasetId,
      one.format,
      one.agreementId,
      time(one.updatedAt),
      one.reason ?? '',
    ]),
    'There are no transfers.',
  );
}

export interface TransferCommand {
  readonly config: string;
  readonly reason?: string;
}

/** What an operator may do about a transfer. */
const DEEDS = {
  suspend: 'suspendTransfer',
  start: 'startTransfer',
  terminate: 'terminateTransfer',
  revoke: 'revokeTransferTokens',
} as const;

/** Suspends, starts again or terminates a transfer, or revokes the tokens that were given out for it. */
export async function changeTransfer(deed: keyof typeof DEEDS, id: string, options: TransferCommand): Promise<void> {
  const { operator } = await ownConnector(options.config);
  const why = options.reason === undefined ? {} : { reason: options.reason };
  const { state } = await operator[DEEDS[deed]](id, why);
  print(deed === 'revoke' ? `Every token given out for ${id} is revoked.` : `${id} is ${state}.`);
}
