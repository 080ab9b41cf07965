/** The commands as an operator types them, against two connectors that run as processes of their own. */
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { main } from './main.ts';
import { collector, type Collector } from './otlp-collector.ts';

const bin = fileURLToPath(new URL('../bin/foedus.mjs', import.meta.url));
const RESEARCH = 'https://w3id.org/dpv#ResearchAndDevelopment';
let root: string;
let address: string;
let pvdAddress: string;
let agreementId: string;
let otlp: Collector;
const running: ChildProcess[] = [];

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in this process, in a member's folder. */
const foedus = async (member: string, ...args: string[]): Promise<Outcome> => {
  const text = { out: '', err: '' };
  const take = (name: 'out' | 'err') => (chunk: string | Uint8Array) => {
    text[name] += String(chunk);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(take('out')),
    vi.spyOn(process.stderr, 'write').mockImplementation(take('err')),
  ];
  const before = process.cwd();
  try {
    process.chdir(join(root, member));
    process.exitCode = 0;
    await main(args);
    return { code: process.exitCode, ...text };
  } finally {
    process.exitCode = 0;
    process.chdir(before);
    for (const spy of spies) spy.mockRestore();
  }
};
/** Like foedus, for what must work. */
const done = async (member: string, ...args: string[]): Promise<string> => {
  const { code, out, err } = await foedus(member, ...args);
  expect([code, err]).toEqual([0, '']);
  return out;
};

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** @returns once it is started; `ready` resolves when it runs */
async function connector(member: string, protocol: number, management: number): Promise<{ ready: Promise<void> }> {
  const folder = join(root, member);
  await mkdir(folder, { recursive: true });
  await done(member, 'certs', 'issue', `did:web:${member}.example`, '--ca', '../ca', '--dir', 'certs');
  const identity = {
    tlsKey: 'certs/tls.key',
    tlsCertificate: 'certs/tls.crt',
    signingKey: 'certs/signing.key',
    signingCertificate: 'certs/signing.crt',
    trustAnchors: 'certs/ca.crt',
  };
  const config = {
    program: 'connector',
    participantId: `did:web:${member}.example`,
    dataDir: 'store',
    identity,
    protocol: { port: protocol, publicUrl: `https://localhost:${protocol}` },
    management: { port: management, tokenFile: 'management.token' },
    transfer: { push: { allowAddresses: ['127.0.0.0/8', '::1/128'] } },
  };
  await writeFile(join(folder, 'connector.json'), JSON.stringify(config));
  expect(await done(member, 'config', 'check', 'connector.json')).toContain('a right configuration of a connector');
  const child = spawn(process.execPath, [bin, 'connector', 'start'], {
    cwd: folder,
    env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url, OTEL_METRICS_EXPORTER: 'none' },
  });
  running.push(child);
  let log = '';
  const ready = new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`the connector of ${member} ended: ${log}`)));
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes('runs')) resolve();
    });
  });
  return { ready };
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foedus-story-'));
  otlp = await collector();
  await mkdir(join(root, 'nobody'));
  await done('nobody', 'certs', 'init', '--dir', '../ca');
  const [first, second, third, fourth] = (await freePorts(4)) as [number, number, number, number];
  const bdl = await connector('bdl', first, second);
  const pvd = await connector('pvd', third, fourth);
  await Promise.all([bdl, pvd].map(({ ready }) => ready));
  address = `https://localhost:${first}`;
  pvdAddress = `https://localhost:${third}`;
  const database = await DuckDBInstance.create(':memory:');
  const connection = await database.connect();
  await connection.run(
    `COPY (SELECT i AS flight, (i % 60)::INTEGER AS delay, 'ORD' AS destination FROM range(10000) t(i))
     TO '${join(root, 'bdl', 'flights.parquet')}' (FORMAT parquet)`,
  );
  connection.closeSync();
  database.closeSync();
});
afterAll(async () => {
  for (const child of running) if (child.exitCode === null) child.kill('SIGKILL');
  await otlp[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

describe('an operator', () => {
  it('publishes a Parquet file and offers it with a policy from a template', async () => {
    expect(await done('bdl', 'asset', 'add', 'flights.parquet', '--title', 'Departures')).toContain(
      'Published flights',
    );
    const out = await done(
      'bdl',
      ...'offer add --asset flights --policy read-rows --id research'.split(' '),
      ...`--set purposes=${RESEARCH} --set columns=flight,delay --set uses=2`.split(' '),
    );
    expect(out).toContain('may use: purpose one of');
    expect(await done('bdl', 'asset', 'list')).toMatch(/^id +title +formats +file\nflights +Departures +HttpData-PULL/);
    expect(await done('bdl', 'offer', 'list')).toContain('columns within flight, delay');
  });

  it("reads another's catalog", async () => {
    const out = await done('pvd', 'catalog', address);
    expect(out).toContain('flights  Departures  (HttpData-PULL)');
    expect(out).toContain('columns within flight, delay; count at most 2');
    expect(JSON.parse(await done('pvd', 'catalog', address, '--json'))).toMatchObject({ '@type': 'Catalog' });
  });

  it('negotiates, and sees both signatures verified', async () => {
    const out = await done('pvd', 'negotiate', address, 'flights', '--offer', 'research');
    expect(out).toContain('FINALIZED');
    expect(out).toContain('Signed by the provider, did:web:bdl.example.');
    expect(out).toContain('Signed by the consumer, did:web:pvd.example.');
    agreementId = /^Agreement: (.+)$/m.exec(out)![1]!;
    expect(await done('pvd', 'negotiations')).toMatch(/FINALIZED +consumer +did:web:bdl\.example/);
    expect(await done('bdl', 'negotiations')).toMatch(/FINALIZED +provider +did:web:pvd\.example/);
  });

  it('fetches the rows that the agreement grants', async () => {
    const out = await done('pvd', 'fetch', agreementId, '--purpose', RESEARCH, '-o', 'rows.arrow');
    expect(out).toMatch(/^flight +delay\n +0 +0\n +1 +1\n/);
    expect(out).toContain('10,000 rows');
    const table = tableFromIPC(await readFile(join(root, 'pvd', 'rows.arrow')));
    expect(table.numRows).toBe(10_000);
    expect(table.schema.fields.map(({ name }) => name)).toEqual(['flight', 'delay']);
    expect(await done('pvd', 'transfers')).toMatch(/COMPLETED +consumer/);
  });

  it('is told in words what is refused, and no file is left', async () => {
    const asks = [
      [['--purpose', RESEARCH, '--columns', 'destination'], /destination/],
      [['--purpose', 'https://w3id.org/dpv#Marketing'], /purpose/i],
      [[], /purpose/i],
    ] as const;
    for (const [options, why] of asks) {
      const { code, out, err } = await foedus('pvd', 'fetch', agreementId, ...options, '-o', 'refused.arrow');
      expect([code, out]).toEqual([1, '']);
      expect(err).toMatch(/^foedus: The provider refuses: /);
      expect(err).toMatch(why);
      expect(err).not.toContain('    at ');
    }
    expect((await readdir(join(root, 'pvd'))).filter((file) => file.startsWith('refused'))).toEqual([]);
  });

  it('looks at a data set, and finds out when it has changed', async () => {
    const shown = await done('bdl', 'asset', 'profile', 'flights');
    expect(shown).toMatch(/^column +type +nulls +distinct +min +max/);
    expect(shown).toMatch(/delay +INTEGER +0% +\d+ +0 +59\n/);
    expect(shown).toContain('10,000 rows');
    expect(await done('bdl', 'asset', 'check')).toBe('as published  flights\n');
    expect(await done('bdl', 'asset', 'repin', 'flights')).toBe('Pinned the 3 columns that flights has now.\n');
    const missing = await foedus('bdl', 'asset', 'profile', 'trains');
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('There is no asset trains')]);
  });

  it('makes a profile for Delta Sharing clients, and revokes it', async () => {
    const options = ['--purpose', RESEARCH, '--out', 'flights.share', '--days', '1'];
    const made = await done('pvd', 'share', 'profile', agreementId, ...options);
    expect(made).toContain('load_as_pandas("flights.share#bdl_example.default.flights")');
    const file = join(root, 'pvd', 'flights.share');
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600');
    const profile = JSON.parse(await readFile(file, 'utf8')) as { endpoint: string; bearerToken: string };
    const ask = () =>
      fetch(`${profile.endpoint}/shares/bdl_example/schemas/default/tables/flights/metadata`, {
        headers: { authorization: `Bearer ${profile.bearerToken}` },
      });
    expect((await ask()).status).toBe(200);
    const listed = await done('pvd', 'share', 'list');
    expect(listed).toMatch(/bdl_example\.default\.flights +good until/);
    const id = /^(urn:uuid:\S+)/m.exec(listed)![1]!;
    expect(await done('pvd', 'share', 'revoke', id)).toContain('lets nobody in');
    expect((await ask()).status).toBe(401);
    expect(await done('pvd', 'share', 'list')).toMatch(/revoked/);
  });

  it('sees what is spent, and is refused when nothing is left', async () => {
    expect(await done('bdl', 'agreement', 'show', agreementId)).toContain('uses 1 of 2');
    await done('pvd', 'fetch', agreementId, '--purpose', RESEARCH, '--columns', 'delay');
    const third = await foedus('pvd', 'fetch', agreementId, '--purpose', RESEARCH);
    expect(third.code).toBe(1);
    expect(await done('bdl', 'agreement', 'show', agreementId)).toContain('uses 2 of 2');
  });

  it('verifies the ledger, and adopts what a partner holds only where there is something to adopt', async () => {
    const all = await done('bdl', 'ledger', 'verify');
    expect(all).toMatch(new RegExp(`^${agreementId} .*uses 2, rows \\d+, bytes \\d+ +good$`, 'm'));
    expect(await done('bdl', 'ledger', 'verify', agreementId)).toBe(all);
    expect(await done('pvd', 'ledger', 'verify')).toBe('Nothing has been charged yet.\n');
    const reconcile = ['ledger', 'reconcile', agreementId, '--reason', 'no need'];
    for (const [options, why] of [
      [[], /nothing to reconcile/],
      [['--at-least', 'epsilon=much'], /epsilon=much is no amount/],
    ] as const) {
      const { code, err } = await foedus('bdl', ...reconcile, ...options);
      expect(code).toBe(1);
      expect(err).toMatch(why);
    }
  });

  it('offers something unasked, and a person of the other side decides', async () => {
    const own = `--policy read-rows --set purposes=${RESEARCH} --set columns=delay --set uses=9`.split(' ');
    const send = ['offer', 'send', pvdAddress, 'did:web:pvd.example', '--asset', 'flights'];
    const sent = await done('bdl', ...send, ...own);
    const id = /negotiations show (\S+)$/m.exec(sent)![1]!;
    await vi.waitFor(async () => expect(await done('pvd', 'negotiations', '--pending')).toContain('DECIDE: '), 10_000);
    const theirs = /^(urn:uuid:\S+) +OFFERED/m.exec(await done('pvd', 'negotiations', '--pending'))![1]!;
    const shown = await done('pvd', 'negotiations', 'show', theirs);
    expect(shown).toMatch(/offered +may use: .*count at most 9/);
    expect(shown).toContain(`foedus negotiations decide ${theirs} --accept`);

    await writeFile(join(root, 'pvd', 'ours.json'), JSON.stringify({ permission: [{ action: 'use' }] }));
    const config = ['--config', '../pvd/connector.json'];
    const countered = await done(
      'nobody',
      'negotiations',
      'decide',
      theirs,
      '--counter',
      '../pvd/ours.json',
      ...config,
    );
    expect(countered).toContain('Countered: the negotiation with did:web:bdl.example is REQUESTED.');
    await vi.waitFor(async () => expect(await done('bdl', 'negotiations', '--pending')).toContain(id), 10_000);
    expect(await done('bdl', 'negotiations', 'decide', id, '--reject', 'Too much.')).toContain('TERMINATED');
    await vi.waitFor(async () => expect(await done('pvd', 'negotiations')).toContain('Too much.'), 10_000);
    expect(await done('bdl', 'negotiations', '--pending')).toContain('No negotiation waits');

    const published = await done('bdl', ...send, '--offer', 'research');
    expect(published).toContain('Offered flights to did:web:pvd.example');
    await vi.waitFor(async () => expect(await done('pvd', 'negotiations', '--pending')).toContain('DECIDE: '), 10_000);
    const second = /^(urn:uuid:\S+) +OFFERED/m.exec(await done('pvd', 'negotiations', '--pending'))![1]!;
    expect(await done('pvd', 'negotiations', 'decide', second, '--accept')).toContain('Accepted');
    for (const options of [[], ['--accept', '--reject']]) {
      const { code, err } = await foedus('pvd', 'negotiations', 'decide', second, ...options);
      expect([code, err]).toEqual([1, expect.stringContaining('Say one of')]);
    }
  });

  it('has data pushed to the own connector', async () => {
    const add = 'asset add flights.parquet --id pushed --format HttpData-PUSH'.split(' ');
    await done('bdl', ...add);
    await writeFile(join(root, 'bdl', 'free.json'), JSON.stringify({ permission: [{ action: 'use' }] }));
    await done('bdl', 'offer', 'add', '--asset', 'pushed', '--policy', 'free.json', '--id', 'pushed');
    const negotiated = await done('pvd', 'negotiate', address, 'pushed', '--offer', 'pushed:pushed');
    const agreement = /urn:uuid:[0-9a-f-]{36}/.exec(negotiated)![0];
    const out = await done('pvd', 'receive', agreement, '--type', 'text/csv', '--columns', 'flight');
    const path = /received as (.+) \(text\/csv\)/.exec(out)![1]!;
    expect((await readFile(path, 'utf8')).split('\r\n')).toHaveLength(10_002);
    const other = await foedus('pvd', 'fetch', agreement);
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining('HttpData-PUSH') });
  });

  it('sees what has to be done, does it, and reports it to the other side', async () => {
    const until = { leftOperand: 'dateTime', operator: 'lteq', rightOperand: '2090-01-01T00:00:00Z' };
    const policy = {
      '@type': 'Offer',
      permission: [{ action: 'use', duty: [{ action: 'delete', constraint: until }] }],
    };
    await writeFile(join(root, 'bdl', 'borrowed.json'), JSON.stringify(policy));
    await done('bdl', 'offer', 'add', '--asset', 'flights', '--policy', 'borrowed.json', '--id', 'borrowed');
    const negotiated = await done('pvd', 'negotiate', address, 'flights', '--offer', 'borrowed:flights');
    const agreement = /urn:uuid:[0-9a-f-]{36}/.exec(negotiated)![0];
    const piped = await done('pvd', 'fetch', agreement, '-o', '-');
    // An Arrow stream from its beginning to the marker of its end, and nothing else. The bytes stand here in decimal.
    expect(/^255,255,255,255,.*255,255,255,255,0,0,0,0$/.test(piped)).toBe(true);
    const fetched = await done('pvd', 'fetch', agreement, '-o', 'borrowed.arrow');
    expect(fetched).toContain('It has to be deleted until 2090-01-01');
    const listed = await done('pvd', 'duties', 'list', '--agreement', agreement, '--ours');
    expect(listed).toMatch(/pending +we +delete +2090-01-01 \d\d:\d\d +flights/);
    expect(await done('bdl', 'duties', 'list')).toMatch(/pending +did:web:pvd\.example +delete/);
    const id = `${agreement}#permission-1-duty-1`;
    expect(await done('pvd', 'duties', 'show', id)).toMatch(/pending: nothing has to be done yet[^]*what +.*delete/);
    await rm(join(root, 'pvd', 'borrowed.arrow'));
    const reported = await done('pvd', 'duties', 'fulfil', id, '--evidence', 'rm borrowed.arrow');
    expect(reported).toContain('did:web:bdl.example gets a receipt signed by this organisation');
    await vi.waitFor(
      async () => expect(await done('bdl', 'duties', 'show', id)).toMatch(/receipt +signed by did:web:pvd\.example/),
      10_000,
    );
    expect(await done('bdl', 'duties', 'list', '--agreement', agreement)).toBe('There is nothing to be done.\n');
    const unknown = await foedus('pvd', 'duties', 'fulfil', 'urn:none');
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('knows no duty urn:none')]);
  });

  it('gives others tokens, and takes them back', async () => {
    const token = (
      await done('bdl', 'token', 'create', '--scope', 'read', '--name', 'the auditor', '--days', '30')
    ).trim();
    expect(token).toMatch(/^foedus_read_/);
    const made = await done('bdl', 'token', 'create', '--scope', 'operate', '-o', 'client.token');
    expect(made).toContain('may operate, in client.token');
    expect(((await stat(join(root, 'bdl', 'client.token'))).mode & 0o777).toString(8)).toBe('600');
    const listed = await done('bdl', 'token', 'list');
    expect(listed).toMatch(/read +the auditor .*never +good until/);
    expect(listed).not.toContain(token);
    const id = /^(urn:uuid:\S+) +read/m.exec(listed)![1]!;
    expect(await done('bdl', 'token', 'revoke', id)).toContain('lets nobody in');
    expect(await done('bdl', 'token', 'list')).toMatch(/read +the auditor .*revoked/);
    const again = await foedus('bdl', 'token', 'create', '--scope', 'everything');
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('read, use, operate, administer')]);
  });

  it('verifies an agreement by id, and an exported one with the trust anchors alone', async () => {
    expect(await done('bdl', 'agreement', 'list')).toContain('provider, consumer');
    expect(await done('bdl', 'agreement', 'verify', agreementId)).toMatch(/valid +Signed by the consumer/);
    const exported = await done('pvd', 'agreement', 'show', agreementId, '--json');
    await writeFile(join(root, 'nobody', 'agreement.json'), exported);
    await done('nobody', 'agreement', 'verify', 'agreement.json', '--trust', '../ca/ca.crt');
    await writeFile(join(root, 'nobody', 'changed.json'), exported.replaceAll('"flight"', '"destination"'));
    const changed = await foedus('nobody', 'agreement', 'verify', 'changed.json', '--trust', '../ca/ca.crt');
    expect(changed.code).toBe(1);
    expect(changed.out).toContain('changed after it was signed');
    expect(changed.err).toBe('foedus: The agreement does not have two valid signatures.\n');
  });

  it('is told what is wrong with a file, a data set, an address or a missing connector', async () => {
    await writeFile(join(root, 'bdl', 'no.parquet'), 'no Parquet at all');
    const cases = [
      [['asset', 'add', 'no.parquet'], 'is no Parquet file'],
      [['asset', 'add', 'missing.parquet'], 'Does it exist?'],
      [['offer', 'add', '--asset', 'flights', '--policy', 'nothing'], 'neither a JSON file'],
      [['offer', 'add', '--asset', 'flights', '--policy', 'read-rows', '--set', 'uses=2'], 'purposes'],
      [['negotiate', address, 'trains'], 'The catalog has no data set trains. It offers you: flights'],
      [['catalog', 'https://localhost:1'], 'https://localhost:1'],
      [['agreement', 'show', 'urn:uuid:nothing'], 'urn:uuid:nothing'],
      [['asset', 'list', '--config', 'missing.json'], 'missing.json cannot be read'],
    ] as const;
    for (const [args, message] of cases) {
      const member = args[0] === 'asset' || args[0] === 'offer' ? 'bdl' : 'pvd';
      const { code, err } = await foedus(member, ...args);
      expect([args, code, err]).toEqual([args, 1, expect.stringContaining(message)]);
      expect(err).not.toContain('    at ');
    }
  });

  it('ends a connector with SIGTERM, and it exits with 0', async () => {
    const [first, second] = running as [ChildProcess, ChildProcess];
    first.kill('SIGTERM');
    second.kill('SIGINT');
    const ends = await Promise.all(running.map((child) => once(child, 'exit')));
    expect(ends.map(([code]) => code as number)).toEqual([0, 0]);
    const { code, err } = await foedus('bdl', 'asset', 'list');
    expect([code, err]).toEqual([1, expect.stringContaining('does not answer. Is it running?')]);
  });

  it('finds the whole negotiation, on both sides, in one trace', () => {
    const paths = (participantId: string, traceId: string): unknown[] =>
      otlp.spans
        .filter((span) => span.participantId === participantId && span.traceId === traceId && span.kind === 2)
        .map(({ attributes }) => attributes.find(({ key }) => key === 'url.path')?.value.stringValue);
    const asked = otlp.spans.find(
      ({ name, kind, attributes }) =>
        kind === 2 && name === 'POST' && attributes.some(({ value }) => value.stringValue === '/negotiations'),
    )!;
    expect(asked.participantId).toBe('did:web:pvd.example');
    const atProvider = paths('did:web:bdl.example', asked.traceId).join(' ');
    expect(atProvider).toContain('/2025-1/negotiations/request');
    expect(atProvider).toContain('/agreement/verification');
    const atConsumer = paths('did:web:pvd.example', asked.traceId).join(' ');
    expect(atConsumer).toContain('/agreement');
    expect(atConsumer).toContain('/events');
  });
});
