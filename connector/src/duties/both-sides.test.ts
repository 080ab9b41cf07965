/** Two connectors, an agreement that asks for something to be done, and what both of them know of it. */
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createDataSpace, type DataSpace, type JoinOptions, type Participant } from '../../../test/src/connectors.ts';
import type { UseNotice } from './model.ts';

const START = Date.parse('2026-12-01T00:00:00Z');
const DAY = 86_400_000;
let now = START;
const clock = () => new Date(now);
const quick = { clock, delivery: { longestPauseSeconds: 0.05, attemptTimeoutSeconds: 2 } };
const eventually = <T>(work: () => Promise<T>): Promise<T> => vi.waitFor(work, { timeout: 10_000, interval: 20 });

let space: DataSpace;
let provider: Participant;
let consumer: Participant;
beforeAll(async () => {
  space = await createDataSpace();
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  await duckdb.run(`COPY (SELECT i AS id FROM range(10) t(i)) TO '${space.file}' (FORMAT parquet)`);
  duckdb.closeSync();
  const push = { allowAddresses: ['127.0.0.0/8', '::1/128'] };
  provider = await space.join('provider', { ...quick, transfer: { push } });
  consumer = await space.join('consumer', { ...quick, duties: { deleteReceivedFiles: true } });
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

let offers = 0;
/** An agreement whose permission to use has these duties. */
const agree = async (duty: object[], rules: object = {}): Promise<string> => {
  now = START;
  offers += 1;
  const id = `data-${offers}`;
  const source = { type: 'parquet', path: space.file } as const;
  await provider.operator.putAsset({ id, title: id, source, formats: ['HttpData-PULL', 'HttpData-PUSH'] });
  const permission = [{ action: 'use', ...(duty.length > 0 && { duty }) }];
  await provider.operator.putPolicy({ id, policy: { '@type': 'Offer', permission, ...rules } });
  await provider.operator.putContractDefinition({ id, assets: [id], policy: id });
  const counterPartyAddress = provider.connector.protocolUrl;
  const asked = await consumer.operator.negotiate({ counterPartyAddress, datasetId: id, offerId: `${id}:${id}` });
  const { agreementId } = await consumer.operator.negotiationUntil(asked.id, ['FINALIZED']);
  return agreementId!;
};
const receive = async (agreementId: string): Promise<void> => {
  const { id } = await consumer.operator.requestTransfer({ agreementId, format: 'HttpData-PULL' });
  await consumer.operator.transferUntil(id, ['STARTED']);
};
const dutyAt = async ({ operator }: Participant, agreementId: string) => (await operator.duties({ agreementId }))[0]!;
let uses = 0;
const use = ({ operator }: Participant, agreementId: string) =>
  operator.reserve({ agreementId, key: `use-${(uses += 1)}`, request: { action: 'use' } });
const until = (operand: string, value: string) => ({ leftOperand: operand, operator: 'lteq', rightOperand: value });

describe('a duty to delete by a date', () => {
  const duty = [{ action: 'delete', constraint: [until('dateTime', '2026-12-11T00:00:00Z')] }];

  it('is seen on both sides, becomes due and overdue on both, blocks further use, and a late receipt ends that', async () => {
    const agreementId = await agree(duty);
    await receive(agreementId);
    const both = async () => [await dutyAt(provider, agreementId), await dutyAt(consumer, agreementId)] as const;
    expect(await both()).toMatchObject([
      { state: 'pending', ours: false, owedBy: consumer.participantId, dueAt: '2026-12-11T00:00:00.000Z' },
      { state: 'pending', ours: true, owedBy: consumer.participantId, dueAt: '2026-12-11T00:00:00.000Z' },
    ]);
    await use(provider, agreementId);
    now = START + 9.5 * DAY;
    expect((await both()).map(({ state }) => state)).toEqual(['due', 'due']);
    await use(provider, agreementId);

    now = START + 10 * DAY + 1;
    await expect(use(provider, agreementId)).rejects.toMatchObject({
      code: 'not-permitted',
      message: expect.stringMatching(/overdue .* since 2026-12-11T00:00:00\.000Z.*No receipt of did:web:consumer/),
    });
    await expect(use(consumer, agreementId)).rejects.toMatchObject({ code: 'not-permitted' });
    expect((await both()).map(({ state }) => state)).toEqual(['overdue', 'overdue']);

    const { id } = await dutyAt(consumer, agreementId);
    const done = await consumer.operator.fulfilDuty(id, { ticket: 4711 });
    expect(done).toMatchObject({ state: 'done', late: true, evidence: { ticket: 4711 } });
    const known = await eventually(async () => {
      const seen = await provider.operator.duty(id);
      expect(seen.state).toBe('done');
      return seen;
    });
    expect(known).toMatchObject({ late: true, receipt: done.receipt });
    // What shows that it was done stays where it was done.
    expect(JSON.stringify(known)).not.toContain('4711');
    await use(provider, agreementId);
    // What was deleted cannot be used.
    await expect(use(consumer, agreementId)).rejects.toThrow(/were deleted on/);
    await eventually(async () => expect((await consumer.operator.duty(id)).receiptDeliveredAt).toMatch(/^2026-12-11T/));
  });

  it('asks again once data come again', async () => {
    const agreementId = await agree(duty);
    await receive(agreementId);
    const { id } = await dutyAt(consumer, agreementId);
    await consumer.operator.fulfilDuty(id);
    await eventually(async () => expect((await provider.operator.duty(id)).state).toBe('done'));
    await receive(agreementId);
    expect([await provider.operator.duty(id), await consumer.operator.duty(id)]).toMatchObject([
      { state: 'pending', dueAt: '2026-12-11T00:00:00.000Z' },
      { state: 'pending', dueAt: '2026-12-11T00:00:00.000Z' },
    ]);
    await use(consumer, agreementId);
  });

  it('keeps its receipt until the provider is back, and both sides know after restarts', async () => {
    const agreementId = await agree(duty);
    await receive(agreementId);
    const { id } = await dutyAt(consumer, agreementId);
    const [protocol, management] = [provider.connector.protocolUrl, provider.connector.managementUrl].map((url) =>
      Number(new URL(url).port),
    ) as [number, number];
    await provider.connector[Symbol.asyncDispose]();
    await consumer.operator.fulfilDuty(id);
    await eventually(async () =>
      expect((await consumer.operator.dutyDeliveries({ agreementId }))[0]).toMatchObject({
        kind: 'receipt',
        state: 'queued',
        problem: expect.stringContaining('did:web:provider.example'),
      }),
    );
    consumer = await consumer.restart();
    provider = await provider.restart({ ports: { protocol, management } });
    await eventually(async () => expect((await provider.operator.duty(id)).state).toBe('done'));
    await eventually(async () =>
      expect((await consumer.operator.dutyDeliveries({ agreementId }))[0]).toMatchObject({ state: 'done' }),
    );
  });

  it('is done by the node itself for files that it was told of, and for no others', async () => {
    const agreementId = await agree(duty);
    await receive(agreementId);
    const { id } = await dutyAt(consumer, agreementId);
    const [kept, replaced] = [join(space.folder, 'kept.arrow'), join(space.folder, 'replaced.arrow')];
    writeFileSync(kept, 'rows');
    await consumer.operator.recordReceivedFile(agreementId, kept);
    await expect(consumer.operator.recordReceivedFile(agreementId, space.folder)).rejects.toMatchObject({
      code: 'bad-request',
    });
    now = START + 9.5 * DAY;
    await eventually(async () => expect((await consumer.operator.duty(id)).state).toBe('done'));
    expect(existsSync(kept)).toBe(false);
    expect(await consumer.operator.duty(id)).toMatchObject({ evidence: { deletedFiles: [{ path: kept, bytes: 4 }] } });

    const other = await agree(duty);
    await receive(other);
    writeFileSync(replaced, 'rows');
    await consumer.operator.recordReceivedFile(other, replaced);
    // Another file at the same place, while the first one is kept so that its number is not used again.
    renameSync(replaced, `${replaced}.old`);
    writeFileSync(replaced, 'something of somebody else');
    now = START + 9.5 * DAY;
    const open = await dutyAt(consumer, other);
    await eventually(async () =>
      expect(await consumer.operator.duty(open.id)).toMatchObject({
        state: 'due',
        note: expect.stringContaining('is another file now'),
      }),
    );
    expect(readFileSync(replaced, 'utf8')).toBe('something of somebody else');
  });
});

describe('what was pushed to the consumer’s connector', () => {
  it('is deleted by it when that is due, and reported', async () => {
    const agreementId = await agree([{ action: 'delete', constraint: [until('dateTime', '2026-12-11T00:00:00Z')] }]);
    const dataAddress = {
      endpointType: 'https://w3id.org/idsa/v4.1/HTTP',
      properties: { contentType: 'text/csv' },
    };
    const { id } = await consumer.operator.requestTransfer({ agreementId, format: 'HttpData-PUSH', dataAddress });
    await consumer.operator.transferUntil(id, ['COMPLETED']);
    const { path } = await consumer.operator.received(id);
    expect(existsSync(path)).toBe(true);
    now = START + 9.5 * DAY;
    const duty = await dutyAt(consumer, agreementId);
    await eventually(async () => expect((await provider.operator.duty(duty.id)).state).toBe('done'));
    expect(existsSync(path)).toBe(false);
    expect(await consumer.operator.duty(duty.id)).toMatchObject({ evidence: { deletedFiles: [{ path }] } });
  });
});

describe('a duty that counts from the first data', () => {
  it('waits for them, and then has the same end on both sides', async () => {
    const agreementId = await agree([{ action: 'delete', constraint: [until('elapsedTime', 'P30D')] }]);
    expect([await dutyAt(provider, agreementId), await dutyAt(consumer, agreementId)]).toMatchObject([
      { state: 'pending', waits: true },
      { state: 'pending', waits: true },
    ]);
    now = START + 100 * DAY;
    expect((await dutyAt(provider, agreementId)).state).toBe('pending');
    await receive(agreementId);
    const dueAt = new Date(START + 130 * DAY).toISOString();
    await eventually(async () =>
      expect([await dutyAt(provider, agreementId), await dutyAt(consumer, agreementId)]).toMatchObject([
        { state: 'pending', dueAt },
        { state: 'pending', dueAt },
      ]),
    );
  });
});

describe('receipts', () => {
  const obligation = [{ action: 'reviewPolicy', constraint: [until('dateTime', '2026-12-11T00:00:00Z')] }];
  const send = async (from: Participant, agreementId: string, body: unknown): Promise<number> => {
    const url = `${provider.connector.protocolUrl}/duties/${encodeURIComponent(agreementId)}/receipts`;
    return (await from.peer.fetch(url, { method: 'POST', body: JSON.stringify(body) })).status;
  };

  it('count once however often they come, and only those that the one who owes it has signed', async () => {
    const agreementId = await agree([], { obligation });
    const stranger = await space.join('stranger', quick);
    const { id, duty, action } = await dutyAt(consumer, agreementId);
    const forged = async (identity: Participant['identity'], changes: object = {}) => {
      const at = new Date(now).toISOString();
      const receipt = {
        '@type': 'https://w3id.org/foedus/ns#DutyReceipt',
        id: 'urn:uuid:forged',
        agreementId,
        duty,
        action,
        by: consumer.participantId,
        at,
        evidence: 'a'.repeat(64),
        ...changes,
      };
      return { receipt, signature: await identity.sign(receipt) };
    };
    expect(await send(stranger, agreementId, await forged(stranger.identity))).toBe(404);
    expect(await send(consumer, agreementId, await forged(stranger.identity))).toBe(400);
    expect(await send(consumer, agreementId, await forged(consumer.identity, { action: 'delete' }))).toBe(400);
    expect(await send(consumer, agreementId, await forged(consumer.identity, { at: '2027-01-01T00:00:00Z' }))).toBe(
      400,
    );
    expect(await send(consumer, 'urn:none', await forged(consumer.identity))).toBe(404);
    expect(await send(consumer, agreementId, { receipt: [] })).toBe(400);
    const good = await forged(consumer.identity);
    const changed = { ...good, receipt: { ...good.receipt, evidence: 'b'.repeat(64) } };
    expect(await send(consumer, agreementId, changed)).toBe(400);
    expect((await provider.operator.duty(id)).state).not.toBe('done');

    expect(await send(consumer, agreementId, good)).toBe(200);
    const done = await provider.operator.duty(id);
    expect(done).toMatchObject({ state: 'done', receipt: good, late: false });
    now += DAY;
    expect(await send(consumer, agreementId, good)).toBe(200);
    expect(await provider.operator.duty(id)).toEqual(done);
  });

  it('are not needed where the creditor says that it is done', async () => {
    const agreementId = await agree([], { obligation });
    const { id } = await dutyAt(provider, agreementId);
    now = START + 11 * DAY;
    await expect(use(provider, agreementId)).rejects.toMatchObject({ code: 'not-permitted' });
    expect(await provider.operator.fulfilDuty(id, 'They have written to us.')).toMatchObject({
      state: 'done',
      confirmed: true,
    });
    await use(provider, agreementId);
    // The other side knows nothing of it: it has not signed anything.
    expect((await consumer.operator.duty(id)).state).toBe('overdue');
  });

  it('are told as events, and so is what is overdue', async () => {
    const agreementId = await agree([], { obligation });
    const response = await fetch(`${provider.connector.managementUrl}/events?type=duty`, {
      headers: { authorization: `Bearer ${provider.token}`, 'last-event-id': '0' },
    });
    now = START + 11 * DAY;
    const { id } = await dutyAt(provider, agreementId);
    await consumer.operator.fulfilDuty(id);
    let text = '';
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      text += piece;
      const states = [...text.matchAll(/^data: (.*)$/gm)]
        .map(([, data]) => (JSON.parse(data!) as { duty: { agreementId: string; state: string } }).duty)
        .filter((one) => one.agreementId === agreementId)
        .map(({ state }) => state);
      if (states.includes('done')) {
        expect(states).toEqual(['pending', 'overdue', 'done']);
        break;
      }
    }
  });
});

describe('a duty of each use', () => {
  const before = [{ leftOperand: 'event', operator: 'lt', rightOperand: { '@id': 'odrl:policyUsage' } }];
  const log = { action: 'https://w3id.org/idsa/code/LOG' };
  const inform = (informedParty: string) => ({ action: 'inform', informedParty });
  const linesOf = (file: string): UseNotice[] =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .trim()
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as UseNotice)
      : [];
  /** The provider, with other sinks. */
  const configured = async (duties: NonNullable<JoinOptions['duties']>): Promise<void> => {
    provider = await provider.restart({ duties });
  };

  it('to log is written when the use is final, and not where nothing was used', async () => {
    const file = join(space.folder, 'after.ndjson');
    await configured({ log: [{ file }] });
    const agreementId = await agree([log]);
    const { entry } = await use(provider, agreementId);
    const other = await use(provider, agreementId);
    await provider.operator.refund(other.entry.id);
    expect(linesOf(file)).toEqual([]);
    await provider.operator.commit(entry.id);
    await eventually(async () => expect(linesOf(file)).toHaveLength(1));
    expect(linesOf(file)[0]).toMatchObject({ agreementId, entryId: entry.id, when: 'after-use', action: 'use' });
    expect((await provider.operator.dutyDeliveries({ agreementId })).map(({ state }) => state)).toEqual(['done']);
  });

  it('to log before the use refuses it while the log cannot be written', async () => {
    const file = join(space.folder, 'before.ndjson');
    await configured({ log: [{ file: '/dev/full' }, { file, system: 'urn:audit' }] });
    const full = await agree([{ ...log, constraint: before }]);
    await expect(use(provider, full)).rejects.toMatchObject({
      code: 'not-permitted',
      message:
        'This use has to be logged before it happens, and the log cannot be written at the moment. Try again later.',
    });
    expect((await provider.operator.account(full)).spent.uses).toBe(0);
    expect((await provider.operator.dutyDeliveries({ agreementId: full }))[0]).toMatchObject({
      state: 'failed',
      beforeUse: true,
      problem: expect.stringContaining('ENOSPC'),
    });
    const refinement = [{ leftOperand: 'systemDevice', operator: 'eq', rightOperand: 'urn:audit' }];
    const action = (system: object[]) => [{ 'rdf:value': { '@id': 'idsc:LOG' }, refinement: system }];
    const audited = await agree([{ action: action(refinement), constraint: before }]);
    expect(await provider.operator.decide(audited, { action: 'use' })).toMatchObject({
      permit: true,
      duties: [{ timing: 'before', performedByNode: true }],
    });
    expect(linesOf(file)).toEqual([]);
    const key = 'again';
    const reservation = { agreementId: audited, key, request: { action: 'use' } };
    await provider.operator.reserve(reservation);
    await provider.operator.reserve(reservation);
    expect(linesOf(file)).toMatchObject([{ agreementId: audited, when: 'before-use' }]);

    const elsewhere = [{ leftOperand: 'systemDevice', operator: 'eq', rightOperand: 'urn:elsewhere' }];
    const nowhere = await agree([{ action: action(elsewhere) }]);
    await expect(use(provider, nowhere)).rejects.toThrow(/no log of the system urn:elsewhere is set in duties\.log/);
  });

  it('to notify reaches the other connector, or a webhook, in order, once each is back', async () => {
    const received: UseNotice[] = [];
    let status = 503;
    const server: Server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        if (status === 204) received.push(JSON.parse(body) as UseNotice);
        response.writeHead(status).end();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/notices`;
      await configured({ notify: [{ party: 'urn:house', url }] });
      const agreementId = await agree([
        inform('urn:house'),
        inform(consumer.participantId),
        inform(provider.participantId),
      ]);
      const entries: string[] = [];
      for (let nth = 0; nth < 3; nth += 1) entries.push((await use(provider, agreementId)).entry.id);
      entries.reverse();
      for (const id of entries) await provider.operator.commit(id);
      await eventually(async () => {
        const queued = await provider.operator.dutyDeliveries({ agreementId, state: ['queued'] });
        expect(queued.map(({ problem = '' }) => problem).join()).toContain('503');
      });
      // Another recipient does not wait.
      await eventually(async () =>
        expect((await consumer.operator.useNotices({ from: provider.participantId })).length).toBe(3),
      );
      status = 204;
      await eventually(async () => expect(received).toHaveLength(3));
      expect(received.map(({ entryId }) => entryId)).toEqual(entries);
      const self = await provider.operator.useNotices({ from: provider.participantId });
      expect(self.map(({ notice }) => notice.entryId).toReversed()).toEqual(entries);

      const blocking = await agree([{ ...inform('urn:house'), constraint: before }]);
      status = 500;
      await expect(use(provider, blocking)).rejects.toThrow(/has to be told to urn:house before it happens/);
      status = 204;
      await use(provider, blocking);
      expect(received.at(-1)).toMatchObject({ agreementId: blocking, when: 'before-use' });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('is fulfilled at the consumer too, for uses of what it has received', async () => {
    const agreementId = await agree([inform(provider.participantId)]);
    const { entry } = await use(consumer, agreementId);
    await consumer.operator.commit(entry.id);
    await eventually(async () =>
      expect((await provider.operator.useNotices({ from: consumer.participantId }))[0]?.notice).toMatchObject({
        agreementId,
        node: consumer.participantId,
        entryId: entry.id,
      }),
    );
  });

  it('to notify fills no store: what one participant sends in an hour has an end', async () => {
    const agreementId = await agree([inform(provider.participantId)]);
    const url = `${new URL(provider.connector.protocolUrl).origin}/duties/${encodeURIComponent(agreementId)}/notices`;
    const columns = Array.from({ length: 200 }, () => 'c'.repeat(1_000));
    let kept = 0;
    for (let status = 200; status === 200 && kept < 200; kept += 1) {
      const notice = {
        '@type': 'https://w3id.org/foedus/ns#UseNotice',
        id: `urn:flood:${kept}`,
        agreementId,
        duty: 'urn:duty',
        node: consumer.participantId,
        by: consumer.participantId,
        datasetId: 'urn:data',
        action: 'use',
        columns,
        when: 'after-use',
        at: new Date().toISOString(),
      };
      const body = JSON.stringify(notice);
      const headers = { 'content-type': 'application/json' };
      const response = await consumer.peer.fetch(url, { method: 'POST', headers, body });
      ({ status } = response);
      const text = await response.text();
      if (status !== 200) expect([status, text]).toEqual([503, expect.stringContaining('Send the rest later')]);
    }
    expect(kept).toBeGreaterThan(70);
    expect(kept).toBeLessThan(90);
  });
});
