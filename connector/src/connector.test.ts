import { DuckDBInstance } from '@duckdb/node-api';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataSpace, publish, type DataSpace, type Participant } from '../../test/src/connectors.ts';
import { readArrowStream } from './data-plane/index.ts';

let space: DataSpace;
let provider: Participant;
let consumer: Participant;
beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider');
  consumer = await space.join('consumer');
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

describe('a connector', () => {
  it('moves the rows that the agreement grants, and stops when the transfer is suspended', async () => {
    const file = join(space.folder, 'rows.parquet');
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    const rows = `SELECT range::INTEGER AS "DISTANCE", 'secret' AS "PILOT" FROM range(100)`;
    await connection.run(`COPY (${rows}) TO '${file}' (FORMAT parquet)`);
    connection.closeSync();
    instance.closeSync();

    const offered = await publish(provider, file);
    const counterPartyAddress = provider.connector.protocolUrl;
    const { id } = await consumer.operator.negotiate({ counterPartyAddress, ...offered });
    const { agreementId } = await consumer.operator.negotiationUntil(id, ['FINALIZED']);
    const transfer = await consumer.operator.requestTransfer({ agreementId: agreementId!, format: 'HttpData-PULL' });
    const { dataAddress, providerPid } = await consumer.operator.transferUntil(transfer.id, ['STARTED']);
    const fetchRows = (query = '') =>
      consumer.peer.fetch(`${dataAddress!.endpoint}${query}`, {
        headers: { authorization: `Bearer ${dataAddress!.properties['authorization']}` },
        expect: provider.participantId,
      });

    const response = await fetchRows();
    const names = new Set<string>();
    let count = 0;
    for await (const batch of await readArrowStream(response)) {
      for (const field of batch.schema.fields) names.add(field.name);
      count += batch.numRows;
    }
    expect({ names: [...names], count }).toEqual({ names: ['DISTANCE'], count: 100 });
    expect((await fetchRows('?columns=PILOT')).status).toBe(403);
    expect((await provider.operator.account(agreementId!)).spent.uses).toBe(1);

    await provider.operator.suspendTransfer(providerPid!);
    expect((await fetchRows()).status).toBe(403);
  });

  it('refuses to start twice on the same port, and releases everything it had taken', async () => {
    const { port } = new URL(provider.connector.protocolUrl);
    const twin = space.join('twin', { ports: { protocol: Number(port), management: 0 } });
    await expect(twin).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining(port) });
  });
});
