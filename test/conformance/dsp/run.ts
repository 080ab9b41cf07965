/**
 * Runs the Dataspace Protocol's official conformance kit against a real connector: `npm run conformance:dsp`.
 *
 * Exits with 0 if every enabled case has passed and every document that the connector has sent is valid by the
 * published schemas.
 */
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createDataSpace } from '../../src/connectors.ts';
import { loadDspSchemas } from '../../src/dsp-schemas.ts';
import { agreeAsConsumer, agreeAsProvider, createSignatory, rules } from './agreements.ts';
import { cases, catalogCases, DEFINITION, enabledCases, formatOf, kitOfferId, ownOfferId } from './cases.ts';
import { createEdge, type Edge, type Exchange } from './edge.ts';
import { fetchKit, runKit } from './kit.ts';
import { createParticipant } from './participant.ts';
import { caseOf, objections, readResult, table } from './result.ts';

const CACHE = join(import.meta.dirname, '../../../.cache/dsp-tck');
/** Longer than the kit can take: each case waits at most 15 s for each of at most five messages. */
const LIMIT_MS = 15 * 60_000;
const KIT_NAME = 'TCK_PARTICIPANT';

const started = performance.now();
const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1);
const schemas = loadDspSchemas();
const classPath = await fetchKit(CACHE);

await using space = await createDataSpace();
const participant = createParticipant(() => connector.operator);
const connector = await space.join('connector', {
  decisions: participant.decisions,
  negotiation: { allowUnsigned: true },
});
const { operator } = connector;
const identity = await space.enrol('kit');
const kitPort = await freePort();
const kitUrl = `http://localhost:${kitPort}`;

const invalid: string[] = [];
const deviations = new Set<string>();
let documents = 0;
const check = (document: unknown, by: Exchange['by'], where: string): void => {
  if (document === undefined || schemas === undefined) return;
  documents += 1;
  const faults = schemas.faultsOf(document).map((fault) => `${where}: ${fault}`);
  if (by === 'connector') invalid.push(...faults);
  else for (const fault of faults) deviations.add(fault.replace(/(urn:uuid:)?[0-9a-f-]{36}/g, '…'));
};

let kitRuns = false;
const failures: unknown[] = [];
const heard = (exchange: Exchange): void => {
  const { by, request, message, status, body } = exchange;
  check(message, by, request);
  check(body, by === 'kit' ? 'connector' : 'kit', `the answer to ${request}`);
  const ours = processOf(exchange);
  if (!kitRuns || status >= 300 || ours === undefined) return;
  const kind = request.includes('/negotiations') ? 'negotiation' : 'transfer';
  participant.moved(kind, ours).catch((error: unknown) => failures.push(error));
};

const signatory = createSignatory(identity, connector.participantId, (path, message) => edge.say(path, message));
await using edge = await createEdge({
  identity,
  kitName: KIT_NAME,
  kitUrl,
  heard,
  connector: { url: connector.connector.protocolUrl, versionPath: '/2025-1' },
  instead: (path, message) => (kitRuns ? undefined : signatory(path, message)),
  catalog: (datasetId) => ({ ...rules, '@type': 'Offer', '@id': kitOfferId(datasetId) }),
  triggers: {
    '/begin/negotiation': ({ datasetId = '', offerId = '' }) =>
      operator.negotiate({ counterPartyAddress: edge.participantUrl, datasetId, offerId }),
    '/begin/transfer': ({ agreementId = '', format = '' }) => operator.requestTransfer({ agreementId, format }),
  },
});

const properties = { ...settings(edge), ...(await prepare()) };
kitRuns = true;
console.log(`${seconds()} s: the connector is ready for the kit`);
const run = await runKit(
  classPath,
  properties,
  (line) => {
    const result = caseOf(line);
    if (process.env['CONFORMANCE_LOG']) console.log(line);
    else if (result) console.log(`${seconds().padStart(6)} s  ${result.id.padEnd(11)} ${result.outcome}`);
  },
  LIMIT_MS,
);
kitRuns = false;

const result = readResult(run.output);
const against = objections(result, enabledCases);
if (run.exitCode !== 0 && against.length === 0) against.push(`the kit ended with ${run.exitCode}`);
for (const failure of failures) against.push(`the participant could not do its part: ${String(failure)}`);
for (const fault of new Set(invalid)) against.push(`not valid by the published schemas: ${fault}`);
console.log(`\n${table(result.cases)}\n`);
console.log(`${documents} documents were checked against the published schemas.`);
for (const deviation of deviations) console.log(`The kit deviates from them: ${deviation}`);
if (against.length > 0) {
  console.error(`\n${against.map((line) => `FAIL ${line}`).join('\n')}`);
  if (!result.finished) console.error(run.output.slice(-40).join('\n'));
}
const passed = result.cases.filter(({ outcome }) => outcome === 'passed').length;
console.log(`\n${passed} of ${enabledCases.length} cases passed in ${seconds()} s.`);
process.exitCode = against.length === 0 ? 0 : 1;

/** Publishes and agrees on what the cases stand on. @returns the kit's settings for it */
async function prepare(): Promise<Record<string, string>> {
  const settingsOf: Record<string, string> = {};
  const set = (id: string, name: string, value: string): void => {
    settingsOf[`${id.replace(/[:-]/g, '_')}_${name}`] = value;
  };
  const provided = cases.filter(({ group }) => group === 'CN' || group === 'TP');
  const formats = new Map(provided.map((one) => [one.datasetId, formatOf(one)]));
  for (const datasetId of Object.values(catalogCases).slice(0, 2)) formats.set(datasetId, 'HttpData-PULL');
  for (const [id, format] of formats) {
    const source = { type: 'parquet' as const, path: space.file };
    await operator.putAsset({ id, title: 'Conformance', source, formats: [format] });
  }
  await operator.putPolicy({ id: 'use', policy: { '@type': 'Offer', ...rules } });
  await operator.putContractDefinition({ id: DEFINITION, policy: 'use', assets: [...formats.keys()] });
  for (const [id, datasetId] of Object.entries(catalogCases)) set(id, 'DATASETID', datasetId);

  const say = (path: string, message: unknown) => edge.say(path, message);
  for (const one of cases) {
    const { id, group, datasetId } = one;
    if (group === 'CN' || group === 'CN_C') set(id, 'DATASETID', datasetId);
    else set(id, 'FORMAT', formatOf(one));
    if (group === 'CN') set(id, 'OFFERID', ownOfferId(datasetId));
    if (group === 'TP') set(id, 'AGREEMENTID', await agreeAsConsumer(operator, say, edge.base, datasetId));
    if (group === 'TP_C') {
      const offerId = kitOfferId(datasetId);
      set(id, 'AGREEMENTID', await agreeAsProvider(operator, edge.participantUrl, datasetId, offerId));
    }
  }
  return settingsOf;
}

function settings({ url }: Edge): Record<string, string> {
  return {
    'dataspacetck.launcher': 'org.eclipse.dataspacetck.dsp.system.DspSystemLauncher',
    'dataspacetck.host': '127.0.0.1',
    'dataspacetck.port': String(kitPort),
    'dataspacetck.callback.address': kitUrl,
    'dataspacetck.dsp.local.connector': 'false',
    'dataspacetck.dsp.connector.agent.id': connector.participantId,
    'dataspacetck.dsp.connector.http.url': `${url}/2025-1`,
    'dataspacetck.dsp.connector.http.base.url': url,
    'dataspacetck.dsp.connector.negotiation.initiate.url': `${url}/begin/negotiation`,
    'dataspacetck.dsp.connector.transfer.initiate.url': `${url}/begin/transfer`,
  };
}

/** The connector's id of the process that an exchange was about. */
function processOf({ by, request, message, body }: Exchange): string | undefined {
  const pidIn = (document: unknown, term: string) => (document as Record<string, string> | undefined)?.[term];
  const inPath = /\/(?:negotiations|transfers)\/([^/]+)(?:\/|$)/.exec(request)?.[1];
  if (by === 'kit') return inPath === 'request' ? pidIn(body, 'providerPid') : inPath;
  const { consumerPid, providerPid } = message as Record<string, string | undefined>;
  return inPath === 'request' || inPath === providerPid ? consumerPid : providerPid;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
