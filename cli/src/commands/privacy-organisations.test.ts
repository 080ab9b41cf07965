import { checkPromise, NO_LIMITS, sessionPlanSchema } from '@foedus/fl-core';
import { describe, expect, test, vi } from 'vitest';
import { flightsDraft } from '../../../fl-core/src/session/plan.test-data.ts';
import { organisationPlanOf, planOrganisations } from './privacy-organisations.ts';

const question = {
  epsilon: 6,
  delta: 1e-5,
  members: 40,
  minimum: 20,
  colluding: 2,
  // Of the model below.
  parameters: 13,
  rounds: 8,
  clip: 0.5,
  bits: 24,
};
const typed = Object.fromEntries(Object.entries(question).map(([name, value]) => [name, String(value)]));

/** ε that a session with this noise promises to each of its members. */
function promised(noiseMultiplier: number): number {
  const plan = sessionPlanSchema.parse({
    ...flightsDraft,
    rounds: question.rounds,
    privacy: {
      unit: 'organisation',
      adjacency: 'replace-one',
      noiseMultiplier,
      colluding: question.colluding,
      delta: question.delta,
    },
    secureAggregation: { mode: 'honest-server', clip: question.clip },
    minimumCohort: question.minimum,
  });
  const contracts = Array.from({ length: question.members }, (_, i) => ({ participantId: `p${i}`, limits: NO_LIMITS }));
  return checkPromise(plan, contracts).partners[0]!.byRound.at(-1)!.epsilon;
}

describe('a plan that hides organisations', () => {
  test('has the least noise with which the session that is planned so keeps to the budget', () => {
    const { noiseMultiplier, spent } = organisationPlanOf(question);
    expect(promised(noiseMultiplier)).toBeLessThanOrEqual(question.epsilon);
    expect(promised(noiseMultiplier - 3e-3)).toBeGreaterThan(question.epsilon);
    expect(spent.at(-1)).toEqual({ round: 8, epsilon: promised(noiseMultiplier) });
  });

  test('says what the noise does to the mean: less where more members have to be left', () => {
    const { noiseMultiplier, noiseInMean } = organisationPlanOf(question);
    expect(noiseInMean.map(({ minimum }) => minimum)).toEqual([3, 20, 40]);
    const total = (least: number): number => (noiseMultiplier * 0.5) ** 2 * (40 / (least - 2));
    for (const { minimum, deviation } of noiseInMean) expect(deviation).toBeCloseTo(Math.sqrt(total(minimum)) / 40, 12);
  });

  test('is printed, and names every value that is out of range', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      planOrganisations(typed);
      const text = write.mock.calls.map(([part]) => String(part)).join('');
      expect(text).toContain('one organisation, exchanged for another');
      expect(text).not.toContain('NaN');
    } finally {
      write.mockRestore();
    }
    expect(() => planOrganisations({ ...typed, epsilon: '-1', bits: '40' })).toThrow(/--epsilon: [^]*--bits: /);
    expect(() => planOrganisations({ ...typed, colluding: '20' })).toThrow(/--colluding: leaves nobody/);
    expect(() => planOrganisations({ ...typed, minimum: '41' })).toThrow(/--minimum: is more than are invited/);
  });
});
