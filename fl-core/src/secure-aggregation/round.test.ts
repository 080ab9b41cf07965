import { randomFillSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Advertised,
  advertiseKeys,
  confirmSurvivors,
  type Confirmed,
  maskInput,
  type Masked,
  type Shared,
  shareSecrets,
  unmask,
} from './client.ts';
import { createCohort } from './cohort.test-data.ts';
import { RoundFailure } from './failure.ts';
import { thresholdOf } from './graph.ts';
import type { Mode } from './graph.ts';
import { selfMaskKey } from './keys.ts';
import { addMasks, PIECE } from './mask.ts';
import { centred } from './packing.ts';
import { openRound } from './server.ts';

/** The step after which a member is gone; 'never' stays to the end. */
const leaving = ['before-keys', 'keys', 'shares', 'input', 'confirmation', 'never'] as const;
type Leaving = (typeof leaving)[number];

interface Setting {
  readonly leaves: readonly Leaving[];
  readonly mode: Mode;
  readonly degree: number | null;
  readonly minimumCohort: number;
  readonly bits: number;
  /** @default 7 */
  readonly length?: number;
}

/** Plays a whole round as the setting says, and also says what the sum should be. */
async function play({ leaves, mode, degree, minimumCohort, bits, length = 7 }: Setting) {
  const { terms, edges, verify } = createCohort(leaves.length, { mode, degree, minimumCohort, bits, length });
  const stays = (member: number, step: Leaving): boolean => leaving.indexOf(leaves[member]!) > leaving.indexOf(step);
  const inputs = leaves.map(() => randomFillSync(new Uint32Array(length)));

  const keys = openRound(terms, verify);
  const advertised = new Map<number, Advertised>();
  for (const [member, id] of terms.cohort.entries()) {
    if (!stays(member, 'before-keys')) continue;
    const { state, message } = await advertiseKeys(terms, id, edges(member));
    await keys.accept(member, message);
    advertised.set(member, state);
  }
  const rosters = keys.close();
  const shared = new Map<number, Shared>();
  for (const [member, roster] of rosters.outgoing) {
    if (!stays(member, 'keys')) continue;
    const { state, message } = await shareSecrets(advertised.get(member)!, roster, edges(member));
    rosters.next.accept(member, message);
    shared.set(member, state);
  }
  const inboxes = rosters.next.close();
  const masked = new Map<number, Masked>();
  for (const [member, inbox] of inboxes.outgoing) {
    if (!stays(member, 'shares')) continue;
    const { state, message } = maskInput(shared.get(member)!, inbox, inputs[member]!);
    inboxes.next.accept(member, message);
    masked.set(member, state);
  }
  const survivors = inboxes.next.close();
  const confirmed = new Map<number, Confirmed>();
  for (const [member, list] of survivors.outgoing) {
    if (!stays(member, 'input')) continue;
    const { state, message } = await confirmSurvivors(masked.get(member)!, list, edges(member));
    await survivors.next.accept(member, message);
    confirmed.set(member, state);
  }
  const confirmations = survivors.next.close();
  for (const [member, signatures] of confirmations.outgoing) {
    if (!stays(member, 'confirmation')) continue;
    confirmations.next.accept(member, await unmask(confirmed.get(member)!, signatures, edges(member)));
  }
  const { sum, survivors: counted } = confirmations.next.close();
  const expected = new Uint32Array(length);
  for (const member of counted) for (let i = 0; i < length; i++) expected[i] = expected[i]! + inputs[member]![i]!;
  return { sum: centred(sum, bits), expected: centred(expected, bits), counted };
}

const setting = fc
  .record({
    leaves: fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant('never' as const) }, fc.constantFrom(...leaving)), {
      minLength: 3,
      maxLength: 9,
    }),
    mode: fc.constantFrom<Mode>('honest-server', 'active-server'),
    large: fc.constantFrom(null, 4, 6),
    minimumCohort: fc.integer({ min: 2, max: 5 }),
    bits: fc.constantFrom(9, 16, 17, 24, 32),
  })
  .map(({ large, ...rest }): Setting => ({ ...rest, degree: rest.mode === 'active-server' ? null : large }))
  .filter(({ leaves, minimumCohort }) => leaves.length >= minimumCohort);

describe('a round', () => {
  test('ends with exactly the sum over those whose input came, or without output, wherever members drop out', async () => {
    let ended = 0;
    await fc.assert(
      fc.asyncProperty(setting, async (chosen) => {
        const outcome = await play(chosen).catch((error: unknown) => error);
        if (outcome instanceof RoundFailure) {
          expect(['below-minimum', 'below-threshold']).toContain(outcome.code);
          return;
        }
        const { sum, expected, counted } = outcome as Awaited<ReturnType<typeof play>>;
        ended++;
        expect(sum).toEqual(expected);
        expect(counted.length).toBeGreaterThanOrEqual(chosen.minimumCohort);
        expect(counted).toEqual(
          chosen.leaves.flatMap((step, i) => (leaving.indexOf(step) > leaving.indexOf('shares') ? [i] : [])),
        );
      }),
      { numRuns: 60 },
    );
    expect(ended).toBeGreaterThan(5);
  });

  test('sums every element of inputs that are masked and packed in more than one piece', async () => {
    for (const bits of [17, 32]) {
      const { sum, expected } = await play({
        leaves: ['never', 'shares', 'never', 'never'],
        mode: 'honest-server',
        degree: null,
        minimumCohort: 2,
        bits,
        length: 2 * PIECE + 3,
      });
      expect(Buffer.compare(Buffer.from(sum.buffer), Buffer.from(expected.buffer))).toBe(0);
    }
  });

  test('survives as many drop-outs before unmasking as the threshold leaves, and not one more', async () => {
    const n = 7;
    for (const mode of ['honest-server', 'active-server'] as const) {
      const needed = thresholdOf(n - 1, mode);
      const leaves = (gone: number): Leaving[] =>
        Array.from({ length: n }, (_, i) => (i < gone ? 'confirmation' : 'never'));
      const common = { mode, degree: null, minimumCohort: 2, bits: 20 };
      const { sum, expected } = await play({ ...common, leaves: leaves(n - needed) });
      expect(sum).toEqual(expected);
      await expect(play({ ...common, leaves: leaves(n - needed + 1) })).rejects.toMatchObject({
        code: 'below-threshold',
      });
    }
  });

  test('that falls below the minimum cohort has no output', async () => {
    const leaves: Leaving[] = ['never', 'never', 'never', 'shares', 'shares'];
    const common = { leaves, mode: 'honest-server', degree: null, bits: 20 } as const;
    await expect(play({ ...common, minimumCohort: 4 })).rejects.toMatchObject({ code: 'below-minimum' });
    const { sum, expected, counted } = await play({ ...common, minimumCohort: 3 });
    expect(counted).toEqual([0, 1, 2]);
    expect(sum).toEqual(expected);
  });
});

describe('what the coordinator sees', () => {
  test('is uniform given the sum: even without self-masks, inputs fit every split of their sum equally often', async () => {
    // Three inputs 1, 2, 3 modulo 4. The coordinator learns all self-masks in the end; what is left of the uploads must
    // add up to 1 + 2 + 3 and be uniform otherwise. χ² over the 16 pairs, 15 degrees of freedom, false alarm 10⁻⁹.
    const uploads = new Float64Array(16);
    const unmasked = new Float64Array(16);
    const runs = 400;
    for (let run = 0; run < runs; run++) {
      const { terms, edges, verify } = createCohort(3, { bits: 2, length: 1 });
      const keys = openRound(terms, verify);
      const states: Advertised[] = [];
      for (const [member, id] of terms.cohort.entries()) {
        const { state, message } = await advertiseKeys(terms, id, edges(member));
        await keys.accept(member, message);
        states.push(state);
      }
      const rosters = keys.close();
      const shared: Shared[] = [];
      for (const [member, roster] of rosters.outgoing) {
        const { state, message } = await shareSecrets(states[member]!, roster, edges(member));
        rosters.next.accept(member, message);
        shared.push(state);
      }
      const { outgoing } = rosters.next.close();
      const [a, b, c] = shared.map((state, member) => {
        const { message } = maskInput(state, outgoing.get(member), Uint32Array.of(member + 1));
        const left = Uint32Array.of(message[0]!);
        addMasks(left, [{ key: selfMaskKey(state.secrets.selfMask, state.rosterHash), sign: -1 }]);
        return { upload: message[0]! & 3, left: left[0]! & 3 };
      });
      uploads[4 * a!.upload + b!.upload]!++;
      unmasked[4 * a!.left + b!.left]!++;
      expect((a!.left + b!.left + c!.left) & 3).toBe(6 & 3);
    }
    for (const counts of [uploads, unmasked]) {
      const chiSquare = counts.reduce((sum, count) => sum + (count - runs / 16) ** 2 / (runs / 16), 0);
      expect(chiSquare).toBeLessThan(74);
    }
  }, 120_000);

  test('contains no key or mask of an earlier round: the same input is masked differently every time', async () => {
    const { terms, edges } = createCohort(2);
    const [one, two] = await Promise.all([0, 0].map(() => advertiseKeys(terms, terms.cohort[0]!, edges(0))));
    expect(one!.message.advertisement.maskKey).not.toBe(two!.message.advertisement.maskKey);
    expect(one!.state.secrets.selfMask).not.toEqual(two!.state.secrets.selfMask);
  });
});
