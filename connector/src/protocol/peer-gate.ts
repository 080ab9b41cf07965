import { CLOSED, failed, halfOpened, mayPass, type Breaker, type Failure } from './circuit-breaker.ts';

/** Lets messages to each counterparty pass: a few at the same time, none while it is out of reach. */
export interface PeerGate {
  /**
   * Waits for its turn, in the order of the calls. Whoever passes must `leave`.
   *
   * @param patience milliseconds that the counterparty may be out of reach before the caller gives up
   * @returns whether it may pass; else why not: the counterparty's last failure, or undefined when the gate was closed
   */
  enter(peer: string, patience: number): Promise<{ pass: true } | { pass: false; reason: string | undefined }>;
  leave(peer: string, sign: SignOfLife): void;
  /** The counterparty has called: it may be back. */
  heard(peer: string): void;
  /** Whether the circuit breaker of `peer` is open: messages to it wait until one has found it back. */
  isOpen(peer: string): boolean;
  /** Counterparties that are out of reach. */
  unreachable(): UnreachablePeer[];
  /** Sends everybody away who waits. */
  close(): void;
}

/** What a message taught about its receiver: it answered (whatever it said), it failed as a whole, or nothing. */
export type SignOfLife = 'answered' | 'nothing' | Failure;

export interface UnreachablePeer {
  readonly participantId: string;
  readonly state: 'open' | 'half-open';
  /** Milliseconds since it was found out of reach. */
  readonly forMs: number;
  readonly reason: string;
  /** Processes with something to say to it. */
  readonly waiting: number;
}

export interface PeerGateOptions {
  /** Messages on their way to one counterparty at the same time. */
  readonly lanes: number;
  /** Milliseconds that the breaker stays open, for the how-manieth opening in a row. */
  readonly pause: (opening: number) => number;
  /** Told when a counterparty is out of reach, and when it is back. */
  readonly changed: (peer: string, state: 'open' | 'closed', reason: string) => void;
  /** Milliseconds, monotonic. @default performance.now */
  readonly now?: () => number;
}

interface Waiter {
  readonly since: number;
  readonly patience: number;
  readonly resolve: (answer: { pass: true } | { pass: false; reason: string | undefined }) => void;
}

interface Peer {
  breaker: Breaker;
  running: number;
  readonly queue: Waiter[];
  timer: NodeJS.Timeout | undefined;
}

/** Timers exist only while a counterparty is out of reach. */
export function createPeerGate({ lanes, pause, changed, now = () => performance.now() }: PeerGateOptions): PeerGate {
  const peers = new Map<string, Peer>();
  let closed = false;

  /** Lets pass who may; forgets a peer of whom there is nothing to know. */
  const admit = (name: string, peer: Peer): void => {
    while (peer.queue.length > 0 && mayPass(peer.breaker, peer.running, lanes)) {
      peer.running += 1;
      peer.queue.shift()!.resolve({ pass: true });
    }
    const { breaker } = peer;
    if (peer.running === 0 && peer.queue.length === 0 && breaker.state === 'closed' && breaker.failures === 0) {
      peers.delete(name);
    }
  };
  const tryAgain = (name: string, peer: Peer): void => {
    clearTimeout(peer.timer);
    peer.timer = undefined;
    peer.breaker = halfOpened(peer.breaker);
    admit(name, peer);
  };
  /** Sends away who has waited long enough, now that the counterparty has failed again. */
  const sendAway = (peer: Peer, since: number, reason: string): void => {
    const time = now();
    for (const waiter of peer.queue.splice(0)) {
      if (time - Math.max(waiter.since, since) < waiter.patience) peer.queue.push(waiter);
      else waiter.resolve({ pass: false, reason });
    }
  };

  return {
    enter: (name, patience) =>
      new Promise((resolve) => {
        if (closed) {
          resolve({ pass: false, reason: undefined });
          return;
        }
        const peer = peers.get(name) ?? { breaker: CLOSED, running: 0, queue: [], timer: undefined };
        peers.set(name, peer);
        peer.queue.push({ since: now(), patience, resolve });
        admit(name, peer);
      }),
    leave: (name, sign) => {
      const peer = peers.get(name);
      if (!peer) return;
      peer.running -= 1;
      const before = peer.breaker;
      if (sign === 'answered') {
        clearTimeout(peer.timer);
        peer.timer = undefined;
        peer.breaker = CLOSED;
        if (before.state !== 'closed') changed(name, 'closed', 'it answers again');
      } else if (sign !== 'nothing') {
        peer.breaker = failed(before, sign, now(), pause);
        const { breaker } = peer;
        if (breaker.state === 'open' && breaker !== before && !closed) {
          peer.timer = setTimeout(() => tryAgain(name, peer), breaker.until - now());
          if (before.state === 'closed') changed(name, 'open', sign.reason);
          sendAway(peer, breaker.trouble.since, sign.reason);
        }
      }
      admit(name, peer);
    },
    heard: (name) => {
      const peer = peers.get(name);
      if (peer?.breaker.state === 'open') tryAgain(name, peer);
    },
    isOpen: (name) => (peers.get(name)?.breaker.state ?? 'closed') !== 'closed',
    unreachable: () =>
      [...peers].flatMap(([participantId, { breaker, queue, running }]) => {
        if (breaker.state === 'closed') return [];
        const { since, reason } = breaker.trouble;
        return [{ participantId, state: breaker.state, forMs: now() - since, reason, waiting: queue.length + running }];
      }),
    close: () => {
      closed = true;
      for (const peer of peers.values()) {
        clearTimeout(peer.timer);
        for (const { resolve } of peer.queue.splice(0)) resolve({ pass: false, reason: undefined });
      }
    },
  };
}
