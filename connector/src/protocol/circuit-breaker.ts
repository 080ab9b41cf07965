/**
 * What is known of a counterparty's reachability, as a value: closed while it answers, open after several failures in a
 * row (then nothing is sent to it until a time), half-open while a single message finds out whether it is back.
 */
export type Breaker =
  | { readonly state: 'closed'; readonly failures: number }
  | { readonly state: 'open'; readonly until: number; readonly trouble: Trouble }
  | { readonly state: 'half-open'; readonly trouble: Trouble };

/** Since the counterparty answered last. Times are in milliseconds of one monotonic clock. */
interface Trouble {
  readonly since: number;
  /** How often the breaker has opened in a row. */
  readonly openings: number;
  /** The last failure, in words. */
  readonly reason: string;
}

export interface Failure {
  readonly reason: string;
  /** The counterparty's own wish (`Retry-After`), in milliseconds; 0 where it has none. */
  readonly retryAfter: number;
}

/** Failures in a row that open the breaker. */
export const THRESHOLD = 5;

export const CLOSED: Breaker = { state: 'closed', failures: 0 };

/** Whether a message may be sent now, when `running` are on their way already and `lanes` may be. */
export function mayPass(breaker: Breaker, running: number, lanes: number): boolean {
  if (breaker.state === 'closed') return running < lanes;
  return breaker.state === 'half-open' && running === 0;
}

/**
 * The counterparty has failed.
 *
 * @param pause milliseconds that the breaker stays open, for the how-manieth opening in a row
 * @returns open after `THRESHOLD` failures in a row, after a failed probe, and at once where the counterparty asks to be
 *   left alone for a while
 */
export function failed(breaker: Breaker, failure: Failure, now: number, pause: (opening: number) => number): Breaker {
  const { reason, retryAfter } = failure;
  // What was on its way when the breaker opened tells nothing new.
  if (breaker.state === 'open') return breaker;
  if (breaker.state === 'closed') {
    const failures = breaker.failures + 1;
    if (failures < THRESHOLD && retryAfter === 0) return { state: 'closed', failures };
    return { state: 'open', until: now + Math.max(pause(1), retryAfter), trouble: { since: now, openings: 1, reason } };
  }
  const openings = breaker.trouble.openings + 1;
  const until = now + Math.max(pause(openings), retryAfter);
  return { state: 'open', until, trouble: { since: breaker.trouble.since, openings, reason } };
}

/** The time is over, or there is another sign that the counterparty may be back. */
export function halfOpened(breaker: Breaker): Breaker {
  return breaker.state === 'open' ? { state: 'half-open', trouble: breaker.trouble } : breaker;
}
