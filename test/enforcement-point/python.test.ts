/** The example of an enforcement point in Python, as a stranger would run it, against two connectors. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataSpace, type DataSpace, type Participant } from '../src/connectors.ts';

const PURPOSE = 'https://w3id.org/dpv#ResearchAndDevelopment';
const ours = (name: string) => `https://w3id.org/foedus/policy#${name}`;
const program = join(import.meta.dirname, '..', '..', 'examples', 'enforcement-point', 'enforcement_point.py');

const hasPython = (() => {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
if (!hasPython) {
  if (process.env['CI']) throw new Error('python3 is not there. Install it.');
  console.log('Skipped: python3 is not there.');
}

describe.skipIf(!hasPython)('an enforcement point in Python', () => {
  let space: DataSpace;
  let provider: Participant;
  let consumer: Participant;
  let agreementId: string;
  const file = (name: string) => join(space.folder, name);

  beforeAll(async () => {
    space = await createDataSpace();
    provider = await space.join('provider');
    consumer = await space.join('consumer');
    const { operator } = provider;
    const constraint = [
      { leftOperand: 'purpose', operator: 'eq', rightOperand: PURPOSE },
      { leftOperand: 'count', operator: 'lteq', rightOperand: '2' },
      { leftOperand: ours('columns'), operator: 'isPartOf', rightOperand: ['day', 'delay', 'name'] },
      { leftOperand: ours('masks'), operator: 'eq', rightOperand: { name: { method: 'constant', value: 'x' } } },
      {
        leftOperand: ours('rowFilter'),
        operator: 'eq',
        rightOperand: { column: 'delay', operator: 'gteq', value: 15 },
      },
    ];
    const duty = [{ action: 'inform' }];
    const source = { type: 'parquet', path: space.file } as const;
    await operator.putAsset({ id: 'delays', title: 'Delays', source, formats: ['HttpData-PULL'] });
    const policy = { '@type': 'Offer', permission: [{ action: 'use', constraint, duty }] };
    await operator.putPolicy({ id: 'delays', policy });
    await operator.putContractDefinition({ id: 'delays', assets: ['delays'], policy: 'delays' });
    const { id } = await consumer.operator.negotiate({
      counterPartyAddress: provider.connector.protocolUrl,
      datasetId: 'delays',
      offerId: 'delays:delays',
    });
    agreementId = (await consumer.operator.negotiationUntil(id, ['FINALIZED'])).agreementId!;
    for (const [name, { operator: own }] of Object.entries({ provider, consumer })) {
      const { token } = await own.createToken({ name: 'application', scope: 'use' });
      writeFileSync(file(`${name}.token`), `${token}\n`);
    }
    writeFileSync(file('rows.csv'), 'day,delay,name,secret\nMo,20,Ann,a\nTu,3,Bob,b\nWe,,Cy,c\nTh,15.0,Di,d\n');
  });
  afterAll(async () => {
    await space[Symbol.asyncDispose]();
  });

  interface Outcome {
    readonly code: number;
    readonly out: string;
    readonly err: string;
  }
  const run = (node: 'provider' | 'consumer', output: string, ...options: string[]): Promise<Outcome> => {
    const { connector } = node === 'provider' ? provider : consumer;
    const at = ['--url', connector.managementUrl, '--token-file', file(`${node}.token`), '--agreement', agreementId];
    const args = [program, ...at, ...options, file('rows.csv'), file(output)];
    return new Promise((resolve) => {
      execFile('python3', args, { timeout: 15_000 }, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), out, err }),
      );
    });
  };
  const spent = async ({ operator }: Participant) => (await operator.account(agreementId)).spent.uses;
  const purpose = ['--purpose', PURPOSE];

  it('is told why not, in plain words, and then writes and charges nothing', async () => {
    const { code, err } = await run('provider', 'no.csv', '--purpose', 'https://w3id.org/dpv#Marketing');
    expect(code).toBe(3);
    expect(err).toContain('is not agreed');
    expect(existsSync(file('no.csv'))).toBe(false);
    expect(await spent(provider)).toBe(0);
  });

  it('sees what has to be enforced without using anything', async () => {
    const { code, err } = await run('provider', 'no.csv', ...purpose, '--ask-only');
    expect(code).toBe(0);
    expect(err).toContain('Duty: inform after the use (the connector does it)');
    expect(err).toContain('Column name is replaced by a constant.');
    expect([existsSync(file('no.csv')), await spent(provider)]).toEqual([false, 0]);
  });

  it('cuts the data by the plan, and charges the use once however often it is tried', async () => {
    for (let again = 0; again < 2; again += 1) {
      expect(await run('provider', 'out.csv', ...purpose, '--key', 'report')).toMatchObject({
        code: 0,
        out: '2 rows\n',
      });
    }
    expect(readFileSync(file('out.csv'), 'utf8').replaceAll('\r', '')).toBe('day,delay,name\nMo,20,x\nTh,15.0,x\n');
    expect(await spent(provider)).toBe(1);
  });

  it('gives the charge back where it cannot do what the plan asks for', async () => {
    writeFileSync(file('whole.csv'), readFileSync(file('rows.csv')));
    writeFileSync(file('rows.csv'), 'day,delay\nMo,20\n');
    const { code, err } = await run('provider', 'lacking.csv', ...purpose);
    writeFileSync(file('rows.csv'), readFileSync(file('whole.csv')));
    expect([code, err]).toEqual([3, expect.stringContaining('the data have no column name')]);
    expect([existsSync(file('lacking.csv')), existsSync(file('lacking.csv.part'))]).toEqual([false, false]);
    expect(await spent(provider)).toBe(1);
  });

  it("asks its own connector about data that have come, whose account is not the provider's", async () => {
    for (const key of ['a', 'b']) {
      expect((await run('consumer', 'local.csv', ...purpose, '--columns', 'day', '--key', key)).code).toBe(0);
    }
    // They were filtered and masked before they came.
    expect(readFileSync(file('local.csv'), 'utf8').replaceAll('\r', '')).toBe('day\nMo\nTu\nWe\nTh\n');
    const third = await run('consumer', 'third.csv', ...purpose, '--key', 'c');
    expect([third.code, third.err]).toEqual([3, expect.stringContaining('2 of 2 are charged')]);
    expect([await spent(consumer), await spent(provider)]).toEqual([2, 1]);
  });

  it('lets nothing out while its connector does not answer', async () => {
    const closed = { ...provider, connector: { ...provider.connector, managementUrl: 'http://127.0.0.1:1' } };
    const open = provider;
    provider = closed;
    const { code, err } = await run('provider', 'closed.csv', ...purpose);
    provider = open;
    expect([code, err]).toEqual([3, expect.stringContaining('does not answer')]);
  });
});
