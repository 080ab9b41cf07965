/** What a session can promise, at a coordinator's operator API with agreements that were really negotiated. */
import { lengthsAround, type SessionPromise, type SessionTradeOff } from '@foedus/fl-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, type Federation, type Partner, plan, type RunningCoordinator } from './federation.ts';

describe('a session that is planned', { timeout: 60_000 }, () => {
  let federation: Federation;
  let coordinator: RunningCoordinator;

  beforeAll(async () => {
    federation = await createFederation(['bdl', 'abq', 'sat']);
    coordinator = await federation.coordinator();
  });
  afterAll(async () => {
    await coordinator?.[Symbol.asyncDispose]();
    await federation?.[Symbol.asyncDispose]();
  });

  const request = (partners: readonly Partner[], draft = {}, rest = {}) =>
    coordinator.call('POST', '/api/sessions', {
      plan: { ...plan, ...draft },
      participants: partners.map(({ participantId, agreementId }) => ({ participantId, agreementId })),
      ...rest,
    });
  const promised = async (id: string): Promise<SessionPromise> =>
    (await (await coordinator.call('GET', `/api/sessions/${id}/promise`)).json()) as SessionPromise;

  test('says which noise other numbers of rounds would need within its agreements', async () => {
    const { id } = await coordinator.plan({ rounds: 2 }, await federation.agree({ epsilon: 3 }));
    const tradeOff = async (session: string): Promise<Response> =>
      await coordinator.call('GET', `/api/sessions/${session}/trade-off`);
    // Asked twice at once, it is worked out once.
    const [answer, again] = await Promise.all([tradeOff(id), tradeOff(id)]);
    const { planned, lengths, budgets } = (await answer.json()) as SessionTradeOff;
    expect(await again.json()).toEqual({ planned, lengths, budgets, omitted: 0 });
    expect(planned).toEqual({ rounds: 2, noiseMultiplier: 1 });
    expect(lengths).toEqual(lengthsAround(2));
    expect(
      budgets.map(({ epsilon, delta, participantIds, holds }) => [epsilon, delta, participantIds.length, holds]),
    ).toEqual([[3, 1e-5, 3, (await promised(id)).holds]]);
    const least = budgets[0]!.leastNoise.map((noise) => noise ?? Infinity);
    expect(least).toEqual(least.toSorted((a, b) => a - b));
    expect((await tradeOff('nothing')).status).toBe(404);
  });

  test('says what each partner’s rows will have paid after each round', async () => {
    const { id } = await coordinator.plan({ rounds: 4 }, federation.partners);
    const promise = await promised(id);
    expect(promise).toMatchObject({ holds: true, fewest: 3, mayDrop: 0, ring: null });
    expect(new Set(promise.partners.map(({ participantId }) => participantId))).toEqual(
      new Set(federation.partners.map(({ participantId }) => participantId)),
    );
    for (const { byRound, limit, delta } of promise.partners) {
      expect([limit, delta]).toEqual([50, 1e-5]);
      expect(byRound.map(({ round }) => round)).toEqual([0, 1, 2, 3, 4]);
      expect(byRound[4]!.epsilon).toBeGreaterThan(byRound[1]!.epsilon);
    }
  });

  test('is refused when an agreement’s budget or rounds will not last, unless it may end early', async () => {
    const partners = await federation.agree({ epsilon: 0.5, rounds: 3 });
    const refused = await request(partners, { rounds: 8 });
    expect(refused.status).toBe(409);
    const { code, message } = (await refused.json()) as { code: string; message: string };
    expect(code).toBe('conflict');
    expect(message).toMatch(
      /bdl.* allows 3 rounds.*8 rounds cost ε .* allows 0\.5\. It would be enough for \d+ rounds/,
    );
    const early = await request(partners, { rounds: 8 }, { endsEarly: true });
    expect(early.status).toBe(201);
    const { id } = (await early.json()) as { id: string };
    expect((await promised(id)).holds).toBe(false);
  });

  test('is refused where an agreement asks for organisations to be hidden and the plan hides rows', async () => {
    const partners = await federation.agree({ privacyUnit: 'organisation' });
    const refused = await request(partners, {}, { endsEarly: true });
    expect(refused.status).toBe(409);
    expect(((await refused.json()) as { message: string }).message).toMatch(
      /bdl.*: The agreement asks for noise that hides whole organisations, and the plan hides single rows/,
    );
    const rows = await federation.agree({ privacyUnit: 'record' });
    expect((await request(rows)).status).toBe(201);
  });

  test('is refused under an agreement that is not for training', async () => {
    const refused = await request(await federation.agree({ rowsOnly: true }));
    expect(refused.status).toBe(409);
    expect(((await refused.json()) as { message: string }).message).toMatch(/bdl.*: The agreement permits no training/);
  });

  test('is refused without noise where an agreement sets a budget, also if it may end early', async () => {
    const refused = await request(federation.partners, { privacy: null }, { endsEarly: true });
    expect(refused.status).toBe(409);
    expect(((await refused.json()) as { message: string }).message).toContain('trains without noise');
  });
});
