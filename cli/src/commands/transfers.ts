import { ownConnector } from '../own-connector.ts';
import { printTable, time } from '../terminal.ts';

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
