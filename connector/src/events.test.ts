import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createEvents, EVENTS_TOPIC, type Events } from './events.ts';
import type { Transfer } from './management/model.ts';
import { createChanges } from './protocol/changes.ts';
import { createTransact, openDatabase, type Database, type Transact } from './store/index.ts';
import { migrations } from './store/migrations/index.ts';

let database: Database;
let transact: Transact;
let events: Events;
let lines: string[];
const changes = createChanges(new AbortController().signal);
const now = '2026-01-01T00:00:00.000Z';
const transfer: Transfer = {
  id: 't1',
  role: 'consumer',
  state: 'STARTED',
  consumerPid: 't1',
  counterPartyId: 'did:web:p',
  counterPartyAddress: 'https://p.example',
  agreementId: 'a1',
  datasetId: 'd1',
  format: 'HttpData-PULL',
  dataAddress: { endpointType: 'x', properties: { authorization: 'top-secret' } },
  createdAt: now,
  updatedAt: now,
};

beforeEach(() => {
  database = openDatabase(':memory:', migrations);
  transact = createTransact(database);
  lines = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  events = createEvents({ database, transact, changes, logger, clock: () => new Date(now) });
});
afterEach(() => database.close());

it('an event is written with its transaction and told after it', async () => {
  const told = changes.wait(EVENTS_TOPIC, 1e6, new AbortController().signal);
  transact((transaction) => {
    events.record(transaction, { type: 'transfer', by: 'them', transfer });
    expect(lines).toEqual([]);
  });
  await told;
  expect(events.since(0)).toMatchObject([{ sequence: 1, at: now, type: 'transfer' }]);
  expect(lines.join('')).toContain('transfer STARTED');
});

it('an event of a transaction that was rolled back is neither written nor told', () => {
  expect(() =>
    transact((transaction) => {
      events.record(transaction, { type: 'transfer', by: 'us', transfer });
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(events.latest()).toBe(0);
  expect(lines).toEqual([]);
});

it('the token of a data address is neither in the log nor in the events', () => {
  transact((transaction) => events.record(transaction, { type: 'transfer', by: 'them', transfer }));
  expect(JSON.stringify(events.since(0)) + lines.join('')).not.toContain('top-secret');
});
