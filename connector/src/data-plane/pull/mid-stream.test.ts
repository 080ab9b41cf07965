/** What ends a running answer, over real connections: how much still leaves, and that nobody takes the part for all. */
import { DuckDBInstance } from '@duckdb/node-api';
import { FOEDUS } from '@foedus/usage-policies';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDataSpace, type DataSpace, type Participant } from '../../../../test/src/connectors.ts';
import { readArrowStream } from '../consume.ts';
import { CHARGED_BYTES } from '../metering.ts';

const ARROW = 'application/vnd.apache.arrow.stream';
const PARQUET = 'application/vnd.apache.parquet';
const ROWS = 200_000;
/** A file of 64 MB: more than the buffers of a connection take in (a kernel's receive window may be 32 MiB). */
const ROWS_BEYOND_BUFFERS = 1_000_000;
const BYTE_LIMIT = 6 * CHARGED_BYTES;
/** What is drawn at once: whole pieces of 256 KiB, so never more than this. */
const ONE_PART = CHARGED_BYTES + 256 * 1024;

let space: DataSpace;
let provider: Participant;
let consumer: Participant;
const FORMATS = [ARROW, PARQUET, 'text/csv', 'application/x-ndjson'];
const agreements: Record<string, string> = {};
/** The most bytes that were still charged after the end, over all cases. */
let most = 0;
const START = new Date('2026-06-01T12:00:00Z');
let now = START;

const constraint = (leftOperand: string, operator: string, rightOperand: unknown) => ({
  leftOperand,
  operator,
  rightOperand,
});
const until2090 = constraint('dateTime', 'lteq', '2090-01-01T00:00:00Z');

beforeAll(async () => {
  space = await createDataSpace();
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  const large = `${space.file}.large.parquet`;
  for (const [file, rows] of [
    [space.file, ROWS],
    [large, ROWS_BEYOND_BUFFERS],
  ] as const) {
    await duckdb.run(`COPY (SELECT i AS id, sha256(i::VARCHAR) AS text FROM range(${rows}) t(i))
      TO '${file}' (FORMAT parquet)`);
  }
  duckdb.closeSync();
  const clock = (): Date => now;
  const delivery = { longestPauseSeconds: 0.05 };
  provider = await space.join('provider', { clock, delivery });
  consumer = await space.join('consumer', { clock, delivery });
  for (const [id, path] of [
    ['table', space.file],
    ['large', large],
  ] as const) {
    const source = { type: 'parquet' as const, path };
    await provider.operator.putAsset({ id, title: 'Table', source, formats: ['HttpData-PULL'] });
  }
  const terms = {
    cut: [until2090, constraint(`${FOEDUS}columns`, 'isPartOf', ['id', 'text'])],
    whole: [until2090],
    large: [until2090],
    ...Object.fromEntries(
      FORMATS.map((accept) => [accept, [constraint(`${FOEDUS}bytes`, 'lteq', String(BYTE_LIMIT))]]),
    ),
  };
  for (const [name, rules] of Object.entries(terms)) {
    const permission = [{ action: 'use', constraint: rules }];
    await provider.operator.putPolicy({ id: name, policy: { '@type': 'Offer', permission } });
    const table = name === 'large' ? 'large' : 'table';
    await provider.operator.putContractDefinition({ id: name, assets: [table], policy: name });
    const { id } = await consumer.operator.negotiate({
      counterPartyAddress: provider.connector.protocolUrl,
      datasetId: table,
      offerId: `${encodeURIComponent(name)}:${table}`,
    });
    const { agreementId } = await consumer.operator.negotiationUntil(id, ['FINALIZED']);
    agreements[name] = agreementId!;
  }
});
afterAll(async () => {
  console.log(`Charged after the end of a transfer, at most: ${most} bytes (a part has at most ${ONE_PART}).`);
  await space[Symbol.asyncDispose]();
});
afterEach(() => {
  now = START;
});

interface Running {
  readonly agreementId: string;
  readonly consumerPid: string;
  readonly providerPid: string;
  readonly response: Response;
}

async function run(agreementId: string, accept: string): Promise<Running> {
  const { id } = await consumer.operator.requestTransfer({ agreementId, format: 'HttpData-PULL' });
  const { providerPid, dataAddress } = await consumer.operator.transferUntil(id, ['STARTED']);
  const { endpoint, properties } = dataAddress!;
  const headers = { accept, authorization: properties['authorization']!, 'accept-encoding': 'identity' };
  const response = await consumer.peer.fetch(endpoint!, { headers });
  expect(response.status).toBe(200);
  return { agreementId, consumerPid: id, providerPid: providerPid!, response };
}

const drawn = async (agreementId: string): Promise<number> =>
  (await provider.operator.account(agreementId)).spent.bytes;
const providerIs = async (id: string, state: 'TERMINATED' | 'SUSPENDED'): Promise<void> => {
  await provider.operator.transferUntil(id, [state]);
};

const ends: Record<string, (running: Running) => Promise<unknown>> = {
  'terminated by its provider': ({ providerPid }) => provider.operator.terminateTransfer(providerPid),
  'terminated by its consumer': async ({ consumerPid, providerPid }) => {
    await consumer.operator.terminateTransfer(consumerPid);
    await providerIs(providerPid, 'TERMINATED');
  },
  'suspended by its provider': ({ providerPid }) => provider.operator.suspendTransfer(providerPid),
  'suspended by its consumer': async ({ consumerPid, providerPid }) => {
    await consumer.operator.suspendTransfer(consumerPid);
    await providerIs(providerPid, 'SUSPENDED');
  },
  'revoked by its provider’s operator': ({ providerPid }) => provider.operator.revokeTransferTokens(providerPid),
  'out of its time': async () => {
    now = new Date('2090-01-01T00:00:01Z');
  },
};

/** Reads on to the end, which must be an error. */
async function rest(reader: ReadableStreamDefaultReader<Uint8Array>, read: Uint8Array[]): Promise<Buffer> {
  const reading = async (): Promise<void> => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) read.push(next.value);
  };
  await expect(reading()).rejects.toThrow();
  return Buffer.concat(read);
}

/** How a reader that knows nothing of HTTP would see that bytes of a format are not whole. */
const wholeness: Record<string, (bytes: Buffer) => boolean> = {
  // The reader of apache-arrow takes a stream without the marker of its end for whole: only the marker tells.
  [ARROW]: (bytes) => bytes.subarray(-8).equals(Buffer.from([255, 255, 255, 255, 0, 0, 0, 0])),
  [PARQUET]: (bytes) => bytes.subarray(-4).toString() === 'PAR1' && bytes.length > 8,
  'text/csv': (bytes) => bytes.toString('latin1').split('\r\n').length - 2 >= ROWS,
  'application/x-ndjson': (bytes) => bytes.toString('latin1').split('\n').length - 1 >= ROWS,
};

describe.each(Object.entries(ends))('an answer whose transfer is %s', (_name, end) => {
  it.each([
    ['cut', ARROW],
    ['cut', PARQUET],
    ['cut', 'text/csv'],
    ['cut', 'application/x-ndjson'],
    ['whole', PARQUET],
  ] as const)('stops at the next part and ends in an error (%s as %s)', async (terms, accept) => {
    const before = await drawn(agreements[terms]!);
    const running = await run(agreements[terms]!, accept);
    const reader = running.response.body!.getReader();
    const read: Uint8Array[] = [(await reader.read()).value!];
    await end(running);
    const atEnd = (await drawn(running.agreementId)) - before;
    const bytes = await rest(reader, read);
    const inAll = (await drawn(running.agreementId)) - before;
    most = Math.max(most, inAll - atEnd);
    // What leaves is charged before. So this many bytes were allowed to leave after the end:
    expect(inAll - atEnd).toBeLessThanOrEqual(ONE_PART);
    expect(bytes.length).toBeLessThanOrEqual(inAll);
    expect(wholeness[accept]!(bytes)).toBe(false);
  });
});

it.each(FORMATS)('an answer that has used up what was agreed stops within the limit (%s)', async (accept) => {
  const { response, agreementId } = await run(agreements[accept]!, accept);
  const bytes = await rest(response.body!.getReader(), []);
  expect(wholeness[accept]!(bytes)).toBe(false);
  const spent = await drawn(agreementId);
  expect(bytes.length).toBeLessThanOrEqual(spent);
  expect(spent).toBeLessThanOrEqual(BYTE_LIMIT);
  expect(spent).toBeGreaterThan(BYTE_LIMIT - ONE_PART);
});

it('the Arrow reader of this node says of each of them that it was cut', async () => {
  for (const end of Object.values(ends)) {
    now = START;
    const running = await run(agreements['cut']!, ARROW);
    const batches = await readArrowStream(running.response);
    const reading = async (): Promise<void> => {
      let ended = false;
      for await (const _batch of batches) {
        if (ended) continue;
        ended = true;
        await end(running);
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'cut-stream' });
    expect(batches.count.rows).toBeLessThan(ROWS);
  }
});

it('an answer that nobody ends comes whole, and every row and byte of it is charged', async () => {
  for (const [terms, accept] of [
    ['cut', ARROW],
    ['cut', 'text/csv'],
    ['whole', PARQUET],
  ] as const) {
    const before = (await provider.operator.account(agreements[terms]!)).spent;
    const { response } = await run(agreements[terms]!, accept);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(wholeness[accept]!(bytes)).toBe(true);
    const { spent } = await provider.operator.account(agreements[terms]!);
    expect({
      rows: spent.rows - before.rows,
      bytes: spent.bytes - before.bytes,
      uses: spent.uses - before.uses,
    }).toEqual({ rows: ROWS, bytes: bytes.length, uses: 1 });
  }
});

it('answers to one consumer are 32 at the most, over all its transfers, and make room when one ends', async () => {
  const open = async () => {
    const { id } = await consumer.operator.requestTransfer({
      agreementId: agreements['large']!,
      format: 'HttpData-PULL',
    });
    const { endpoint, properties } = (await consumer.operator.transferUntil(id, ['STARTED'])).dataAddress!;
    const headers = { accept: PARQUET, authorization: properties['authorization']! };
    return async () => await consumer.peer.fetch(endpoint!, { headers });
  };
  const answers: Response[] = [];
  for (let transfer = 0; transfer < 4; transfer++) {
    const ask = await open();
    answers.push(...(await Promise.all(Array.from({ length: 8 }, ask))));
  }
  expect(answers.map(({ status }) => status)).toEqual(Array(32).fill(200));
  const ask = await open();
  const refused = await ask();
  expect([refused.status, await refused.json()]).toEqual([
    503,
    { code: 'unavailable', message: expect.stringContaining('32 answers') },
  ]);
  await answers.pop()!.body!.cancel();
  await expect
    .poll(
      async () => {
        const answer = await ask();
        await answer.body!.cancel();
        return answer.status;
      },
      { timeout: 10_000 },
    )
    .toBe(200);
  for (const { body } of answers) await body!.cancel();
});
