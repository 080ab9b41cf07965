import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { THRESHOLD } from './circuit-breaker.ts';
import { createPeerGate, type PeerGate } from './peer-gate.ts';

const PEER = 'did:web:them';
const down = { reason: 'no network', retryAfter: 0 };
let gate: PeerGate;
let log: string[];

beforeEach(() => {
  vi.useFakeTimers();
  log = [];
  gate = createPeerGate({
    lanes: 2,
    pause: (opening) => 100 * opening,
    changed: (peer, state, reason) => void log.push(`${peer} is ${state}: ${reason}`),
    now: () => Date.now(),
  });
});
afterEach(() => {
  gate.close();
  vi.useRealTimers();
});

/** Enters, and notes in the log what became of it. */
const enter = async (name: string, patience = 1_000): Promise<void> => {
  const turn = await gate.enter(PEER, patience);
  log.push(turn.pass ? name : `${name} away: ${String(turn.reason)}`);
};
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
const open = async (): Promise<void> => {
  for (let failures = 0; failures < THRESHOLD; failures += 1) {
    await gate.enter(PEER, 1_000);
    gate.leave(PEER, down);
  }
  expect(gate.isOpen(PEER)).toBe(true);
  log = [];
};

describe('a gate to counterparties', () => {
  it('lets as many pass as there are lanes, in the order they came, and each counterparty for itself', async () => {
    for (const name of ['a', 'b', 'c', 'd']) void enter(name);
    await settled();
    expect(log).toEqual(['a', 'b']);
    expect(await gate.enter('did:web:other', 1)).toEqual({ pass: true });
    gate.leave(PEER, 'answered');
    await settled();
    expect(log).toEqual(['a', 'b', 'c']);
  });

  it('lets nobody pass while it is open, then one, and all again once that one was answered', async () => {
    await open();
    for (const name of ['a', 'b', 'c']) void enter(name);
    await vi.advanceTimersByTimeAsync(99);
    expect(log).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(log).toEqual(['a']);
    gate.leave(PEER, 'answered');
    await settled();
    expect(log).toEqual(['a', `${PEER} is closed: it answers again`, 'b', 'c']);
  });

  it('goes on finding out when the one that passed had nothing to send', async () => {
    await open();
    for (const name of ['a', 'b']) void enter(name);
    await vi.advanceTimersByTimeAsync(100);
    gate.leave(PEER, 'nothing');
    await settled();
    expect(log).toEqual(['a', 'b']);
    expect(gate.isOpen(PEER)).toBe(true);
  });

  it('sends away, after another failure, who has waited for longer than it had patience', async () => {
    await open();
    void enter('probe');
    void enter('impatient', 100);
    void enter('patient', 10_000);
    await vi.advanceTimersByTimeAsync(100);
    gate.leave(PEER, down);
    await settled();
    expect(log).toEqual(['probe', 'impatient away: no network']);
    expect(gate.unreachable()).toEqual([
      { participantId: PEER, state: 'open', forMs: 100, reason: 'no network', waiting: 1 },
    ]);
    // Longer this time.
    await vi.advanceTimersByTimeAsync(199);
    expect(log.length).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(log.at(-1)).toBe('patient');
  });

  it('lets one pass at once when the counterparty has called', async () => {
    await open();
    void enter('a');
    gate.heard(PEER);
    await settled();
    expect(log).toEqual(['a']);
    gate.heard('did:web:nobody');
  });

  it('knows nothing of a counterparty that has answered everything, and sends everybody away when it closes', async () => {
    await enter('a');
    gate.leave(PEER, 'answered');
    expect(gate.unreachable()).toEqual([]);
    await open();
    void enter('b');
    gate.close();
    await settled();
    expect(log).toEqual(['b away: undefined']);
    expect(await gate.enter(PEER, 1_000)).toEqual({ pass: false, reason: undefined });
    expect(vi.getTimerCount()).toBe(0);
  });
});
