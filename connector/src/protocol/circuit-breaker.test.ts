import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLOSED, failed, halfOpened, mayPass, THRESHOLD, type Breaker } from './circuit-breaker.ts';

const pause = (opening: number): number => 100 * opening;
const down = { reason: 'down', retryAfter: 0 };
const after = (failures: number, breaker: Breaker = CLOSED): Breaker =>
  Array.from({ length: failures }).reduce<Breaker>((now) => failed(now, down, 0, pause), breaker);

describe('a circuit breaker', () => {
  it('lets several messages pass until as many have failed in a row as the threshold says', () => {
    expect(mayPass(after(THRESHOLD - 1), 3, 4)).toBe(true);
    expect(mayPass(after(THRESHOLD - 1), 4, 4)).toBe(false);
    expect(mayPass(after(THRESHOLD), 0, 4)).toBe(false);
  });

  it('lets a single message find out whether the counterparty is back, and stays open longer when it is not', () => {
    const open = after(THRESHOLD);
    expect(open).toMatchObject({ state: 'open', until: 100 });
    const probing = halfOpened(open);
    expect(mayPass(probing, 0, 4)).toBe(true);
    expect(mayPass(probing, 1, 4)).toBe(false);
    expect(failed(probing, down, 1_000, pause)).toMatchObject({
      state: 'open',
      until: 1_200,
      trouble: { since: 0, openings: 2 },
    });
  });

  it('opens at once for as long as the counterparty asks for', () => {
    expect(failed(CLOSED, { reason: '503', retryAfter: 5_000 }, 1_000, pause)).toMatchObject({
      state: 'open',
      until: 6_000,
    });
  });

  it('learns nothing from messages that were on their way when it opened', () => {
    const open = after(THRESHOLD);
    expect(after(3, open)).toBe(open);
  });

  it('never lets more messages pass than there are lanes, and none while it is open', () => {
    const step = fc.constantFrom('failed', 'half-opened', 'answered');
    fc.assert(
      fc.property(fc.array(step), fc.nat(8), (steps, running) => {
        let breaker: Breaker = CLOSED;
        for (const name of steps) {
          if (name === 'failed') breaker = failed(breaker, down, 0, pause);
          else breaker = name === 'answered' ? CLOSED : halfOpened(breaker);
          if (!mayPass(breaker, running, 4)) continue;
          expect(breaker.state).not.toBe('open');
          expect(running).toBeLessThan(breaker.state === 'closed' ? 4 : 1);
        }
      }),
    );
  });
});
