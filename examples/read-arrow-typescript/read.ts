/** Reads rows under an agreement as an Arrow stream: node read.ts CONNECTOR.JSON AGREEMENT [PURPOSE [COLUMN,COLUMN…]] */
import { RecordBatchReader } from 'apache-arrow';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { dirname, resolve } from 'node:path';
import { checkServerIdentity } from 'node:tls';

/** What this program needs of a transfer, or of an answer that is a problem. */
type Answer = Record<'id' | 'state' | 'counterPartyId', string> & { reason?: string; message?: string } & {
  dataAddress: { endpoint: string; properties: Record<string, string> };
};

const [configFile = 'connector.json', agreementId, purpose, columns] = process.argv.slice(2);
const { management, identity } = JSON.parse(await readFile(configFile, 'utf8'));
const read = (file: string) => readFile(resolve(dirname(configFile), file));
const token = String(await read(management.tokenFile)).trim();
/** Asks the own connector, on this machine. */
async function operator(method: string, path: string, body?: object): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const url = `http://${management.host ?? '127.0.0.1'}:${management.port}${path}`;
  const response = await fetch(url, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  const answer = (await response.json()) as Answer;
  if (response.ok) return answer;
  throw new Error(`Refused: ${answer.message}`);
}

// The own connector asks the provider for a transfer; when it has started, it has an address and a token.
const asked = await operator('POST', '/transfers', { agreementId, format: 'HttpData-PULL' });
const path = `/transfers/${encodeURIComponent(asked.id)}`;
const { state, reason, dataAddress, counterPartyId } = await operator('GET', `${path}?wait=60&until=STARTED`);
if (state !== 'STARTED') throw new Error(`The transfer is ${state}: ${reason ?? 'no reason given'}`);

// The rows come from the provider itself, over mutual TLS: with the certificate of this organisation.
const url = new URL(dataAddress.endpoint);
for (const [name, value] of Object.entries({ purpose, columns })) if (value) url.searchParams.set(name, value);
const options: RequestOptions = {
  headers: { authorization: `Bearer ${dataAddress.properties['authorization']}` },
  key: await read(identity.tlsKey),
  cert: await read(identity.tlsCertificate),
  ca: await read(identity.trustAnchors),
  checkServerIdentity: (host, certificate) => {
    const isProvider = certificate.subjectaltname?.split(', ').includes(`URI:${counterPartyId}`);
    return checkServerIdentity(host, certificate) ?? (isProvider ? undefined : new Error(`not ${counterPartyId}`));
  },
};
const [response] = (await once(request(url, options).end(), 'response')) as [IncomingMessage];
if (response.statusCode !== 200) throw new Error(`Refused: ${JSON.parse(String(await response.toArray())).message}`);

// A stream that the provider cuts throws here: what was read until then is not the whole.
const reader = await RecordBatchReader.from(response);
let rows = 0;
for await (const batch of reader) {
  if (rows === 0) console.log(batch.schema.fields.join('\n'), '\n', batch.slice(0, 3).toArray().join('\n '));
  rows += batch.numRows;
}
await operator('POST', `${path}/completion`, {});
console.log(`… ${rows} rows`);
