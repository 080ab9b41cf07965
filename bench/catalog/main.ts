/**
 * Pages of a large catalog: a connector in a process of its own, with mutual TLS, asked by another participant over one
 * connection that is kept.
 *
 * Each request is measured beside a bare SELECT of the same data sets, by this process from the same file in the same
 * run: what SQLite alone needs for the rows, without anybody's offers, access, JSON-LD or TLS.
 */
import { createAuthority, issueParticipant } from '@foedus/certs';
import { createPeerClient, loadIdentity, type PeerClient } from '@foedus/connector/identity';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { linkTo } from '../../connector/src/catalog/link-header.ts';
import { prepareConnector, type ConnectorProcess } from '../../test/src/connector-process.ts';
import { message } from '../../test/src/scripted-peer.ts';
import { datasetId, fillCatalog } from './catalog.ts';
import { queriesOf } from './count-queries.ts';

const { values } = parseArgs({
  options: {
    datasets: { type: 'string', default: '10000' },
    policies: { type: 'string', default: '20' },
    /** Contract definitions: one catalog is made and measured for each number. */
    definitions: { type: 'string', default: '20,10000' },
    requests: { type: 'string', default: '200' },
    /** Measures the requests alone whose names contain this. */
    only: { type: 'string', default: '' },
    /** Folder for a CPU profile of the connector. */
    profile: { type: 'string' },
  },
});
const datasets = Number(values.datasets);
const requests = Number(values.requests);
const PAGE = 100;

interface Case {
  readonly name: string;
  readonly send: (client: PeerClient, root: string) => Promise<Response>;
  /** The same data sets straight from the table. */
  readonly bare: string;
}

const post = (client: PeerClient, url: string, filter: unknown, encoding = 'identity'): Promise<Response> =>
  client.fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'accept-encoding': encoding },
    body: JSON.stringify(message('CatalogRequestMessage', filter === undefined ? {} : { filter })),
  });
const filtered = (operandLeft: string, operator: string, operandRight: unknown) => (client: PeerClient, root: string) =>
  post(client, `${root}/catalog/request`, [{ operandLeft, operator, operandRight }]);
const select = (where: string): string => `SELECT id, body FROM asset WHERE ${where} ORDER BY id LIMIT ${PAGE}`;

/** @param deep address of a page in the middle of the catalog */
const casesOf = (deep: string): Case[] => [
  {
    name: '(no catalog: the version document)',
    send: (client, root) => client.fetch(new URL('/.well-known/dspace-version', root)),
    bare: 'SELECT id FROM asset WHERE 0',
  },
  { name: 'first page', send: (client, root) => post(client, `${root}/catalog/request`, undefined), bare: select('1') },
  {
    name: 'first page, gzip',
    send: (client, root) => post(client, `${root}/catalog/request`, undefined, 'gzip'),
    bare: select('1'),
  },
  {
    name: 'page in the middle',
    send: (client) => post(client, deep, undefined),
    bare: select(`id > '${datasetId(datasets / 2)}'`),
  },
  {
    name: 'title like %airline 13,%',
    send: filtered('title', 'like', '%airline 13,%'),
    bare: select("body ->> 'title' GLOB '*airline 13,*'"),
  },
  {
    name: 'title = …',
    send: filtered('title', '=', 'Flights of airline 13, month 2'),
    bare: select("body ->> 'title' = 'Flights of airline 13, month 2'"),
  },
  {
    name: 'format = FederatedTraining-PUSH',
    send: filtered('format', '=', 'FederatedTraining-PUSH'),
    bare: select("EXISTS (SELECT 1 FROM json_each(body, '$.formats') WHERE value = 'FederatedTraining-PUSH')"),
  },
  {
    name: 'description like %nothing% (no match)',
    send: filtered('description', 'like', '%nothing%'),
    bare: select("body ->> 'description' GLOB '*nothing*'"),
  },
  {
    name: 'one data set',
    send: (client, root) => client.fetch(`${root}/catalog/datasets/${datasetId(datasets / 2)}`),
    bare: select(`id = '${datasetId(datasets / 2)}'`),
  },
];

interface Line extends Case {
  /** Milliseconds until the whole answer is there. */
  readonly times: number[];
  /** Milliseconds of the bare SELECT. */
  readonly bareTimes: number[];
  readonly queries: number;
  readonly bytes: number;
  readonly found: number;
}

const folder = mkdtempSync(join(tmpdir(), 'foedus-bench-'));
try {
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Bench' });
  const caller = 'did:web:caller.example';
  const directory = join(folder, 'caller');
  await issueParticipant(authority, { participantId: caller, directory });
  const file = (name: string): string => join(directory, name);
  const identity = await loadIdentity(caller, {
    tlsKey: file('tls.key'),
    tlsCertificate: file('tls.crt'),
    signingKey: file('signing.key'),
    signingCertificate: file('signing.crt'),
    trustAnchors: file('ca.crt'),
  });
  for (const definitions of values.definitions.split(',').map(Number)) {
    await using client = createPeerClient(identity);
    const profile =
      values.profile === undefined
        ? []
        : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`, `--cpu-prof-name=${definitions}.cpuprofile`];
    const counter = join(import.meta.dirname, 'count-queries.ts');
    process.env['COUNT_QUERIES_FILE'] = join(folder, 'queries');
    await using connector = await prepareConnector(authority, `provider-${definitions}`, folder, {
      nodeOptions: ['--import', counter, ...profile],
    });
    const dataDir = join(connector.directory, 'data');
    mkdirSync(dataDir);
    await fillCatalog(dataDir, { datasets, policies: Number(values.policies), definitions }, caller);
    await connector.start();
    print(definitions, await measure(connector, client, dataDir));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measure(connector: ConnectorProcess, client: PeerClient, dataDir: string): Promise<Line[]> {
  const root = `${connector.protocolUrl}/2025-1`;
  using sql = new DatabaseSync(join(dataDir, 'connector.sqlite'), { readOnly: true });
  let deep = `${root}/catalog/request`;
  for (let page = 0; page < datasets / PAGE / 2; page += 1) {
    const response = await post(client, deep, undefined);
    await response.body?.cancel();
    deep = linkTo(response.headers.get('link') ?? '', 'next') ?? deep;
  }
  const count = (): Promise<number> => queriesOf(connector.pid()!, join(folder, 'queries'));
  const lines: Line[] = [];
  for (const each of casesOf(deep).filter(({ name }) => name.includes(values.only))) {
    for (let warmUp = 0; warmUp < 10; warmUp += 1) await (await each.send(client, root)).arrayBuffer();
    const before = await count();
    const response = await each.send(client, root);
    const body = (await response.json()) as { dataset?: unknown[]; hasPolicy?: unknown[] };
    if (!response.ok) throw new Error(`${each.name} was answered ${response.status}`);
    const queries = (await count()) - before;
    const found = body.dataset?.length ?? (body.hasPolicy ? 1 : 0);
    const statement = sql.prepare(each.bare);
    const rows = statement.all().length;
    if (rows !== found) throw new Error(`${each.name}: ${found} data sets came, ${rows} are in the table`);
    lines.push({ ...each, times: [], bareTimes: [], queries, found, bytes: JSON.stringify(body).length });
  }
  // In turns, so that whatever else the machine does meets all of them alike.
  for (let round = 0; round < requests; round += 1) {
    for (const { send, bare, times, bareTimes } of lines) {
      times.push(await timed(async () => (await send(client, root)).arrayBuffer()));
      const statement = sql.prepare(bare);
      bareTimes.push(await timed(() => statement.all()));
    }
  }
  return lines;
}

async function timed(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function quantile(times: readonly number[], q: number): number {
  return times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * q)]!;
}

function print(definitions: number, lines: readonly Line[]): void {
  console.log(
    `\n${datasets} data sets, ${values.policies} policies, ${definitions} contract definitions; ${requests} requests each, one at a time`,
  );
  const columns = ['request', 'data sets', 'kB', 'median ms', 'p99 ms', 'queries', 'bare SELECT ms', 'ratio'];
  const rows = lines.map(({ name, times, bareTimes, queries, bytes, found }) => [
    name,
    String(found),
    (bytes / 1000).toFixed(1),
    quantile(times, 0.5).toFixed(2),
    quantile(times, 0.99).toFixed(2),
    String(queries),
    quantile(bareTimes, 0.5).toFixed(3),
    `${(quantile(times, 0.5) / quantile(bareTimes, 0.5)).toFixed(1)} ×`,
  ]);
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]!.length)));
  for (const row of [columns, ...rows]) {
    console.log(
      row.map((cell, index) => (index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!))).join('  '),
    );
  }
}
