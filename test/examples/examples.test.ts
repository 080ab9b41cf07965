import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FOEDUS } from '@foedus/usage-policies';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDataSpace, type DataSpace, type Participant } from '../src/connectors.ts';
import { constraint } from '../src/agreements.ts';
import { agree, writeParquet } from '../src/contract.ts';

const root = join(import.meta.dirname, '..', '..');
const example = (name: string): string => join(root, 'examples', name);
const RESEARCH = 'https://w3id.org/dpv#ResearchAndDevelopment';

let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let agreementId: string;
/** An agreement under which the stream is cut after some batches. */
let cutId: string;
let config: string;

beforeAll(async () => {
  space = await createDataSpace();
  [provider, consumer] = await Promise.all([space.join('bdl'), space.join('pvd')]);
  const path = join(space.folder, 'flights.parquet');
  await writeParquet(
    path,
    `SELECT i AS flight, (i % 60)::INTEGER AS delay, 'tail-' || i AS tail FROM range(50000) t(i)`,
  );
  agreementId = await agree(provider, consumer, {
    assetId: 'flights',
    source: { type: 'parquet', path },
    constraints: [
      constraint('purpose', 'eq', RESEARCH),
      constraint('count', 'lteq', '3'),
      constraint(`${FOEDUS}masks`, 'eq', { tail: { method: 'hash' } }),
    ],
  });
  const long = join(space.folder, 'long.parquet');
  await writeParquet(long, 'SELECT sha256(i::VARCHAR) AS code FROM range(300000) t(i)');
  cutId = await agree(provider, consumer, {
    assetId: 'long',
    source: { type: 'parquet', path: long },
    constraints: [constraint(`${FOEDUS}byteLimit`, 'lteq', '10000000')],
  });
  const { port } = new URL(consumer.connector.managementUrl);
  config = join(space.folder, 'pvd', 'connector.json');
  const files = { tlsKey: 'tls.key', tlsCertificate: 'tls.crt', trustAnchors: 'ca.crt' };
  await writeFile(config, JSON.stringify({ management: { port: Number(port), tokenFile: 'token' }, identity: files }));
}, 120_000);
afterAll(() => space[Symbol.asyncDispose]());

/** Runs a program. @returns what it printed, or the error that it ended with */
const run = (program: string, ...args: string[]): Promise<string> =>
  promisify(execFile)(program, args).then(
    ({ stdout }) => stdout,
    (error: { code: number; stderr: string }) => `${error.code}: ${error.stderr}`,
  );

/** The Python of an environment that a script of the repository sets up. */
function pythonWith(name: string): string {
  const python = join(root, '.cache', name, 'bin', 'python');
  if (!existsSync(python)) {
    if (process.env['CI']) throw new Error(`${name} is not there. Run npm run setup:${name}.`);
    console.log(`Skipped: ${name} is not there. npm run setup:${name} installs it.`);
  }
  return python;
}

const readers = [
  ['Python', pythonWith('pyarrow'), join(example('read-arrow-python'), 'read.py')],
  ['TypeScript', process.execPath, join(example('read-arrow-typescript'), 'read.ts')],
] as const;

for (const [language, program, script] of readers) {
  describe.skipIf(!existsSync(program))(`the example in ${language}`, () => {
    test('reads the Arrow stream of an agreement, as it is granted', async () => {
      const out = await run(program, script, config, agreementId, RESEARCH, 'flight,tail');
      expect(out).toContain('50000 rows');
      expect(out).toMatch(/tail.*[0-9a-f]{24}/);
      expect(out).not.toMatch(/delay|tail-/);
      expect((await readFile(script, 'utf8')).split('\n').length - 1).toBeLessThan(60);
    }, 120_000);

    test('fails where the provider cuts the stream', async () => {
      const out = await run(program, script, config, cutId);
      expect(out).toMatch(/^1: /);
      expect(out).not.toContain('rows');
    }, 120_000);

    test('ends with the reason of a refusal', async () => {
      const out = await run(program, script, config, agreementId, 'https://w3id.org/dpv#Marketing');
      expect(out).toMatch(/^1: [^]*Refused: .*purpose/i);
    }, 120_000);
  });
}

const python = pythonWith('delta-sharing');
describe.skipIf(!existsSync(python))('the example of Delta Sharing', () => {
  test('reads the tables of a profile with pandas', async () => {
    const { profile } = await consumer.operator.createShareProfile({ agreements: [agreementId], purpose: RESEARCH });
    const file = join(space.folder, 'flights.share');
    await writeFile(file, JSON.stringify(profile));
    const out = await run(python, join(example('delta-sharing'), 'read.py'), file, '10');
    expect(out).toContain('flights.share#bdl_example.default.flights');
    expect(out).toMatch(/[0-9a-f]{24}/);
    expect(out).toContain('10 rows');
  }, 120_000);
});
