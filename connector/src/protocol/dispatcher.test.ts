import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FoedusError } from '../errors.ts';
import type { PeerCall } from '../identity/index.ts';
import { createEvents } from '../events.ts';
import {
  createGroupCommit,
  createTransact,
  openDatabase,
  type Database,
  type GroupCommit,
  type Transact,
} from '../store/index.ts';
import { migrations } from '../store/migrations/index.ts';
import { createChanges } from './changes.ts';
import { createDispatcher, type Dispatcher } from './dispatcher.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { createPeerGate, type PeerGate } from './peer-gate.ts';
import type { Process } from './process-store.ts';

const logger = pino({ level: 'silent' });
const clock = () => new Date();

interface Call {
  readonly url: string;
  readonly expect: string | undefined;
  readonly body: Record<string, unknown>;
}

let database: Database;
let transact: Transact;
let group: GroupCommit;
let gate: PeerGate;
let outbox: Outbox;
let dispatcher: Dispatcher;
let processes: Map<string, Process>;
let calls: Call[];
let log: string[];
/** When the counterparties were found out of reach, and back. */
let circuit: string[];
/** What the network does with a call. */
let network: (call: Call) => Response | Promise<Response>;
let settled: (line: string) => void;
const answerTo = async (call: Call) => {
  const response = await network(call);
  const { status, headers } = response;
  return { status, headers, body: new Uint8Array(await response.arrayBuffer()) };
};

const process = (id: string, fields: Partial<Process> = {}): void => {
  processes.set(id, {
    id,
    role: 'consumer',
    state: 'REQUESTED',
    consumerPid: id,
    providerPid: `their-${id}`,
    counterPartyId: 'did:web:them',
    counterPartyAddress: 'https://them.example/dsp',
    ...fields,
  });
};
const add = (processId: string, text: string, initial = false): void =>
  transact((transaction) =>
    outbox.add(transaction, {
      processId,
      kind: 'negotiation',
      name: initial ? 'ContractRequestMessage' : 'ContractNegotiationTerminationMessage',
      initial,
      message: { text },
    }),
  );
const start = (giveUpAfterMs = 60_000): Dispatcher => {
  gate = createPeerGate({
    lanes: 4,
    pause: () => 2,
    changed: (peer, state, reason) => void circuit.push(`${peer} ${state}: ${reason}`),
  });
  return createDispatcher({
    outbox,
    gate,
    events: createEvents({
      database,
      transact,
      changes: createChanges(new AbortController().signal),
      logger,
      clock,
    }),
    logger,
    clock,
    giveUpAfterMs,
    attemptTimeoutMs: 5_000,
    longestPauseMs: 2,
    client: {
      fetch: () => Promise.reject(new Error('a message is sent as a call')),
      call: async (url: string | URL, init: PeerCall = {}) => {
        const body = JSON.parse(String(init.body)) as Record<string, unknown>;
        const call = { url: String(url), expect: init.expect, body };
        calls.push(call);
        return await answerTo(call);
      },
      [Symbol.asyncDispose]: async () => undefined,
    },
    process: ({ processId }) => processes.get(processId),
    delivered: (entry, answer) => {
      outbox.removeSoon(entry);
      settled(`delivered ${String(entry.message['text'])} ${JSON.stringify(answer)}`);
    },
    refused: async (entry, reason) => {
      outbox.clear(entry.processId);
      settled(`refused ${String(entry.message['text'])}: ${reason}`);
    },
    undeliverable: async (entry, reason) => {
      outbox.clear(entry.processId);
      settled(`undeliverable ${String(entry.message['text'])}: ${reason}`);
    },
  });
};
/** Waits until `count` messages are settled. */
const lines = async (count: number): Promise<string[]> => {
  while (log.length < count) {
    await new Promise<void>((resolve) => {
      settled = (line) => {
        log.push(line);
        resolve();
      };
    });
  }
  return log;
};

beforeEach(() => {
  database = openDatabase(':memory:', migrations);
  transact = createTransact(database);
  group = createGroupCommit(transact, () => undefined);
  outbox = createOutbox(database, group, clock, (id) => dispatcher.wake(id));
  processes = new Map();
  calls = [];
  log = [];
  circuit = [];
  settled = (line) => void log.push(line);
  network = () => new Response('{"ok":1}', { status: 200 });
  dispatcher = start();
});
afterEach(async () => {
  await dispatcher[Symbol.asyncDispose]();
  await group[Symbol.asyncDispose]();
  database.close();
});

describe('the dispatcher', () => {
  it('sends to the counterparty’s path with both process ids, and expects its certificate', async () => {
    process('p1');
    add('p1', 'a');
    expect(await lines(1)).toEqual(['delivered a {"ok":1}']);
    expect(calls).toEqual([
      {
        url: 'https://them.example/dsp/negotiations/their-p1/termination',
        expect: 'did:web:them',
        body: { text: 'a', consumerPid: 'p1', providerPid: 'their-p1' },
      },
    ]);
  });

  it('takes any 2xx for success, whatever its body', async () => {
    process('p1');
    const answers = [new Response(null, { status: 204 }), new Response('<html>', { status: 200 })];
    network = () => answers.shift()!;
    add('p1', 'a');
    add('p1', 'b');
    expect(await lines(2)).toEqual(['delivered a undefined', 'delivered b undefined']);
  });

  it('keeps the order of one process through failures, and lets no other process wait for it', async () => {
    process('slow');
    process('quick', { counterPartyId: 'did:web:other', counterPartyAddress: 'https://other.example' });
    let failures = 3;
    network = ({ url }) => {
      if (url.includes('them.example') && (failures -= 1) >= 0) return new Response('', { status: 503 });
      return new Response('', { status: 200 });
    };
    for (const text of ['1', '2', '3']) add('slow', text);
    add('quick', 'q');
    const result = await lines(4);
    expect(result[0]).toBe('delivered q undefined');
    expect(result.slice(1)).toEqual(['1', '2', '3'].map((text) => `delivered ${text} undefined`));
    expect(calls.filter(({ body }) => body['text'] === '1').length).toBe(4);
  });

  it.each([404, 408, 425, 429, 500, 503])('tries again after %i', async (status) => {
    process('p1');
    let first = true;
    network = () => {
      const response = new Response('', { status: first ? status : 200 });
      first = false;
      return response;
    };
    add('p1', 'a');
    expect(await lines(1)).toEqual(['delivered a undefined']);
    expect(calls.length).toBe(2);
  });

  it.each([
    [404, '1'],
    [503, '1'],
    [429, () => new Date(Date.now() + 1_500).toUTCString()],
  ])('comes back after %i when the counterparty wants it to', async (status, retryAfter) => {
    const at: number[] = [];
    const headers = { 'retry-after': typeof retryAfter === 'string' ? retryAfter : retryAfter() };
    // An HTTP date has whole seconds.
    const earliest = typeof retryAfter === 'string' ? 990 : 450;
    process('p1');
    network = () => {
      at.push(performance.now());
      return at.length === 1 ? new Response('', { status, headers }) : new Response('');
    };
    add('p1', 'a');
    await lines(1);
    expect(at.length).toBe(2);
    expect(at[1]! - at[0]!).toBeGreaterThan(earliest);
  });

  it('is not put off for longer than it would try', async () => {
    await dispatcher[Symbol.asyncDispose]();
    dispatcher = start(30);
    for (const [id, status] of [
      ['p1', 503],
      ['p2', 404],
    ] as const) {
      process(id, { counterPartyId: `did:web:${id}` });
      network = () => new Response('', { status, headers: { 'retry-after': '100000' } });
      add(id, id);
      const settledBefore = log.length;
      expect((await lines(settledBefore + 1)).at(-1)).toMatch(/^undeliverable .* could not be reached/);
    }
  });

  it('tries again when nobody answers, and sends the same message', async () => {
    process('p1');
    let failures = 2;
    network = () => {
      if ((failures -= 1) >= 0) throw new FoedusError('unavailable', 'connection refused');
      return new Response('');
    };
    add('p1', 'a');
    await lines(1);
    expect(calls.length).toBe(3);
    expect(new Set(calls.map(({ body }) => JSON.stringify(body))).size).toBe(1);
  });

  it('does not try again what was refused, and tells the peer’s words', async () => {
    process('p1');
    network = () => new Response('{"@type":"ContractNegotiationError","reason":["no such offer"]}', { status: 400 });
    add('p1', 'a');
    expect((await lines(1))[0]).toMatch(/refused a: .* 400: no such offer$/);
    expect(calls.length).toBe(1);
  });

  it('does not try again where somebody else answers', async () => {
    process('p1');
    network = () => {
      throw new FoedusError('wrong-peer', 'The server is X, not Y.');
    };
    add('p1', 'a');
    expect(await lines(1)).toEqual(['refused a: The server is X, not Y.']);
  });

  it('gives up after the configured time with the last reason', async () => {
    await dispatcher[Symbol.asyncDispose]();
    dispatcher = start(20);
    process('p1');
    network = () => new Response('', { status: 503 });
    add('p1', 'a');
    expect((await lines(1))[0]).toMatch(/undeliverable a: The counterparty could not be reached .* it answered 503$/);
  });

  it('sends at most four messages to one counterparty at once', async () => {
    let running = 0;
    let most = 0;
    const { promise: open, resolve } = Promise.withResolvers<void>();
    const { promise: full, resolve: isFull } = Promise.withResolvers<void>();
    network = async () => {
      most = Math.max(most, (running += 1));
      if (running === 4) isFull();
      await open;
      running -= 1;
      return new Response('');
    };
    for (let index = 0; index < 10; index += 1) {
      process(`p${index}`);
      add(`p${index}`, String(index));
    }
    await full;
    resolve();
    await lines(10);
    expect(most).toBe(4);
  });

  it('waits with a later message until the counterparty’s process id is known', async () => {
    process('p1', { providerPid: undefined });
    network = () => {
      process('p1');
      return new Response('');
    };
    add('p1', 'first', true);
    add('p1', 'second');
    await lines(2);
    expect(calls.map(({ url }) => url)).toEqual([
      'https://them.example/dsp/negotiations/request',
      'https://them.example/dsp/negotiations/their-p1/termination',
    ]);
    expect(calls[0]!.body).toEqual({ text: 'first' });
  });

  it('leaves what was not delivered when it stops, and takes it up when it starts again', async () => {
    process('p1');
    const { promise: called, resolve } = Promise.withResolvers<void>();
    network = () => {
      resolve();
      throw new FoedusError('unavailable', 'no network');
    };
    add('p1', 'a');
    await called;
    await dispatcher[Symbol.asyncDispose]();
    expect(outbox.waiting()).toEqual(['p1']);
    network = () => new Response('');
    dispatcher = start();
    dispatcher.recover();
    expect(await lines(1)).toEqual(['delivered a undefined']);
    expect(outbox.head('p1')).toBeUndefined();
  });

  it('leaves a counterparty alone that is out of reach, but for one message at a time, and loses nothing', async () => {
    let running = 0;
    let most = 0;
    let up = false;
    network = async () => {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (!up) throw new FoedusError('unavailable', 'no network');
      return new Response('');
    };
    const names = Array.from({ length: 30 }, (_, index) => `p${index}`);
    for (const name of names) {
      process(name);
      add(name, name);
    }
    while (circuit.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(circuit).toEqual(['did:web:them open: no network']);
    expect(gate.unreachable()).toMatchObject([{ participantId: 'did:web:them', reason: 'no network' }]);
    // What was under way when the circuit opened has ended; from now on there are only probes.
    const ended = (): boolean => running === 0;
    while (!ended()) await new Promise((resolve) => setImmediate(resolve));
    most = 0;
    const before = calls.length;
    while (calls.length < before + 5) await new Promise((resolve) => setImmediate(resolve));
    expect(most).toBe(1);
    // They take turns, so that a message that a counterparty always fails at does not stand for all.
    expect(new Set(calls.slice(before).map(({ body }) => body['text'])).size).toBe(5);
    up = true;
    expect((await lines(30)).toSorted()).toEqual(names.map((name) => `delivered ${name} undefined`).toSorted());
    expect(circuit.at(-1)).toBe('did:web:them closed: it answers again');
    expect(gate.unreachable()).toEqual([]);
  });

  it('gives up every message to a counterparty that stays out of reach', async () => {
    await dispatcher[Symbol.asyncDispose]();
    dispatcher = start(30);
    network = () => {
      throw new FoedusError('unavailable', 'no network');
    };
    for (let index = 0; index < 20; index += 1) {
      process(`p${index}`);
      add(`p${index}`, String(index));
    }
    for (const line of await lines(20)) {
      expect(line).toMatch(/^undeliverable \d+: The counterparty could not be reached for 0 s: no network$/);
    }
    expect(outbox.waiting()).toEqual([]);
  });

  it('sends a message once more after a crash that came before its delivery was on the disk', async () => {
    process('p1');
    add('p1', 'a');
    await lines(1);
    expect(outbox.head('p1')).toBeUndefined();
    // The disk still has it: what another start of the program would find.
    expect(createOutbox(database, group, clock, () => undefined).head('p1')?.message).toEqual({ text: 'a' });
    await group[Symbol.asyncDispose]();
    expect(outbox.waiting()).toEqual([]);
  });

  it('sends nothing of a transaction that was rolled back', async () => {
    process('p1');
    expect(() =>
      transact(() => {
        add('p1', 'never');
        throw new Error('rolled back');
      }),
    ).toThrow('rolled back');
    add('p1', 'after');
    await lines(1);
    expect(calls.map(({ body }) => body['text'])).toEqual(['after']);
  });
});
