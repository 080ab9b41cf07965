import { DuckDBInstance } from '@duckdb/node-api';
import type { Asset } from '@foedus/connector/operator-client';
import type { Participant } from './connectors.ts';

/** Writes what a SELECT gives as a Parquet file. */
export async function writeParquet(path: string, select: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
}

let contracts = 0;

/**
 * Publishes a data set under a policy, and makes the contract for it.
 *
 * @returns the agreement's id
 */
export async function agree(
  provider: Participant,
  consumer: Participant,
  { assetId, source, constraints }: { assetId: string; source: Asset['source']; constraints: readonly object[] },
): Promise<string> {
  const id = `contract-${(contracts += 1)}`;
  await provider.operator.putAsset({ id: assetId, title: assetId, source, formats: ['HttpData-PULL'] });
  const permission = [{ action: 'use', ...(constraints.length > 0 && { constraint: constraints }) }];
  await provider.operator.putPolicy({ id, policy: { '@type': 'Offer', permission } });
  await provider.operator.putContractDefinition({ id, assets: [assetId], policy: id });
  const asked = await consumer.operator.negotiate({
    counterPartyAddress: provider.connector.protocolUrl,
    datasetId: assetId,
    offerId: `${id}:${encodeURIComponent(assetId)}`,
  });
  const { agreementId } = await consumer.operator.negotiationUntil(asked.id, ['FINALIZED']);
  return agreementId!;
}
