import { createCipheriv, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandomBits } from '../noise/random-bits.ts';
import { rationalOf } from '../noise/rational.ts';
import { createSkellam } from '../noise/skellam.ts';
import { createWords, decode, encode, planEncoding } from './encoding.ts';
import { chooseDegree, neighboursOf, neighboursOfOne, thresholdOf } from './graph.ts';
import { addMasks } from './mask.ts';
import { addPacked, centred, pack, packedBytes } from './packing.ts';
import { rotate, rotateBack } from './rotation.ts';
import { combine, PRIME, recover, SECRET_BYTES, split } from './shamir.ts';

const random = createRandomBits();
const secret = fc.uint8Array({ minLength: SECRET_BYTES, maxLength: SECRET_BYTES });

describe('a shared secret', () => {
  test('comes back from any threshold of shares and from no fewer', () => {
    fc.assert(
      fc.property(secret, fc.integer({ min: 2, max: 12 }), fc.nat(), (value, holders, choice) => {
        const threshold = 2 + (choice % (holders - 1));
        const points = Array.from({ length: holders }, (_, i) => 1 + i * 7);
        const shares = split(value, points, threshold, random).map((bytes, i) => ({ at: points[i]!, bytes }));
        const start = choice % holders;
        const some = [...shares.slice(start), ...shares.slice(0, start)].slice(0, threshold);
        expect(combine(some, threshold)).toEqual(value);
        expect(combine(some.slice(1), threshold)).toBeUndefined();
        expect(combine([some[0]!, ...some.slice(0, -1)], threshold)).toBeUndefined();
      }),
    );
  });

  test('comes back wherever wrong shares stand among the right ones', () => {
    const spread = [
      { holders: 9, wrong: [0, 3, 6] },
      { holders: 33, wrong: [0, 11, 22] },
      { holders: 33, wrong: [0, 8, 16, 24] },
    ];
    const anywhere = fc.integer({ min: 4, max: 33 }).chain((holders) =>
      fc.record({
        holders: fc.constant(holders),
        wrong: fc.uniqueArray(fc.nat(holders - 1), { maxLength: Math.min(4, Math.ceil(holders / 2) - 1) }),
      }),
    );
    const check = ({ holders, wrong }: (typeof spread)[number]): void => {
      const value = randomBytes(SECRET_BYTES);
      const threshold = Math.floor(holders / 2) + 1;
      const points = Array.from({ length: holders }, (_, i) => i + 1);
      const shares = split(value, points, threshold, random).map((bytes, i) => ({ at: points[i]!, bytes }));
      for (const liar of wrong) shares[liar]!.bytes.fill(liar + 1);
      // Of any 500 choices none avoids four wrong ones of 33 once in 10⁹ runs.
      expect(recover(shares, threshold, (one) => value.equals(one))).toEqual(new Uint8Array(value));
    };
    for (const one of spread) check(one);
    fc.assert(fc.property(anywhere, check), { numRuns: 50 });
  });

  test('is hidden in fewer: a share’s element is uniform whatever the secret', () => {
    const counts = new Float64Array(16);
    const runs = 1600;
    for (let i = 0; i < runs; i++) {
      const [share] = split(new Uint8Array(SECRET_BYTES), [5], 1, random)
        .concat(split(new Uint8Array(SECRET_BYTES), [5, 6], 2, random))
        .slice(1);
      counts[Math.floor((new DataView(share!.buffer).getUint32(0, true) / PRIME) * 16)]!++;
    }
    // χ², 15 degrees of freedom, false alarm 10⁻⁹.
    expect(counts.reduce((sum, c) => sum + (c - runs / 16) ** 2 / (runs / 16), 0)).toBeLessThan(74);
  });
});

describe('packing', () => {
  const values = fc.uint32Array({ minLength: 1, maxLength: 70 });
  const bits = fc.integer({ min: 1, max: 32 });

  test('gives back every value of every ring, in exactly the bits of the ring, wherever in a buffer it lies', () => {
    fc.assert(
      fc.property(values, bits, fc.nat({ max: 7 }), (all, width, offset) => {
        const packed = pack(all, width);
        expect(packed.length).toBe(Math.ceil((all.length * width) / 8));
        const arrived = Buffer.alloc(offset + packed.length + 8, 255).subarray(offset, offset + packed.length);
        arrived.set(packed);
        const sum = new Uint32Array(all.length).fill(5);
        addPacked(sum, arrived, width);
        expect(centred(sum, width)).toEqual(
          centred(
            all.map((v) => v + 5),
            width,
          ),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('puts the lowest bit of the first element first, and zeros after the last', () => {
    fc.assert(
      fc.property(values, bits, (all, width) => {
        const expected = [...all].reduce(
          (sum, v, i) => sum + (BigInt.asUintN(width, BigInt(v)) << BigInt(i * width)),
          0n,
        );
        const bytes = [...pack(all, width)].reduce((sum, byte, i) => sum + (BigInt(byte) << BigInt(8 * i)), 0n);
        expect(bytes).toBe(expected);
      }),
    );
  });
});

describe('masks', () => {
  const masks = (signs: readonly (1 | -1)[]) => signs.map((sign) => ({ sign, key: randomBytes(16) }));

  test('taken off leave what was there, however many and at every length', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(1 as const, -1 as const), { minLength: 1, maxLength: 70 }),
        fc.constantFrom(1, 3, 61, 16_383, 16_384, 16_385, 40_001),
        (signs, length) => {
          const values = Uint32Array.from({ length }, (_, i) => i * 0x1234_5678);
          const all = masks(signs);
          const sum = Uint32Array.from(values);
          addMasks(sum, all);
          if (length > 60) expect(sum).not.toEqual(values);
          addMasks(
            sum,
            all.map(({ key, sign }) => ({ key, sign: sign === 1 ? (-1 as const) : (1 as const) })).toReversed(),
          );
          expect(sum).toEqual(values);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('are the key streams of AES-128-CTR, each from its beginning to its end', () => {
    const length = 40_001;
    const all = masks([1, -1, 1, 1, 1, 1, 1, 1, 1, 1, -1]);
    const sum = new Uint32Array(length);
    addMasks(sum, all);
    const streams = all.map(({ key }) => {
      const bytes = createCipheriv('aes-128-ctr', key, new Uint8Array(16)).update(new Uint8Array(length * 4));
      return (i: number) => bytes.readUInt32LE(i * 4);
    });
    for (let i = 0; i < length; i++) {
      const expected = streams.reduce((total, at, k) => (total + all[k]!.sign * at(i)) | 0, 0);
      if (sum[i] !== expected >>> 0) expect([i, sum[i]]).toEqual([i, expected >>> 0]);
    }
  });
});

describe('the graph', () => {
  test('links everybody with k others, mutually, and all who are left stay connected', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 60 }), fc.constantFrom(4, 6), fc.string(), (n, degree, seed) => {
        const graph = neighboursOf(
          Array.from({ length: n }, (_, i) => i * 3),
          degree,
          seed,
        );
        for (const [member, linked] of graph) {
          expect(new Set(linked).size).toBe(degree);
          for (const other of linked) expect(graph.get(other)).toContain(member);
        }
        for (const [member, linked] of graph) {
          const members = [...graph.keys()].toSorted((a, b) => a - b);
          expect(neighboursOfOne(member, members, degree, seed)).toEqual(linked);
        }
        const reached = new Set([0]);
        for (const member of reached) for (const other of graph.get(member)!) reached.add(other);
        expect(reached.size).toBe(n);
      }),
    );
  });

  test('has thresholds that those in league with the coordinator do not reach, alone or by telling two stories', () => {
    for (let roster = 2; roster <= 1_000; roster++) {
      // Everybody holds a share of everybody's secrets, its own included; up to a third of the roster colludes.
      const colluding = Math.ceil(roster / 3) - 1;
      const active = thresholdOf(roster - 1, 'active-server');
      expect(active).toBeGreaterThan(colluding);
      // Colluders sign and share in both views of the survivors, each honest member in one.
      expect(2 * active).toBeGreaterThan(roster + colluding);
      expect(active).toBeLessThanOrEqual(roster);
      // Half of the roster, as long as everybody is told the same.
      expect(thresholdOf(roster - 1, 'honest-server')).toBeGreaterThan(Math.floor(roster / 2));
    }
  });

  test('needs more neighbours the more members collude or drop out, and everybody where half do', () => {
    const degree = (corrupt: number, dropped: number) => chooseDegree({ members: 1000, corrupt, dropped });
    const few = degree(20, 50)!;
    expect(few).toBeGreaterThan(20);
    expect(degree(100, 100)!).toBeGreaterThan(few);
    expect(degree(500, 100)).toBeNull();
    expect(chooseDegree({ members: 10, corrupt: 4, dropped: 3 })).toBeNull();
  });
});

describe('an encoded update', () => {
  const length = 1500;
  const plan = (overrides = {}) =>
    planEncoding({ length, clipNorm: 1, scale: 1e4, cohort: 10, rotationSeed: 'aa', ...overrides });
  const update = (seed: number, norm: number): Float64Array => {
    const raw = Float64Array.from({ length }, (_, i) => Math.sin(i * 12.9898 + seed) ** 3);
    const now = Math.sqrt(raw.reduce((sum, x) => sum + x * x, 0));
    return raw.map((x) => (x * norm) / now);
  };

  test('is rotated and back to the last digits, its norm kept, at lengths of no power of two', () => {
    fc.assert(
      fc.property(fc.float64Array({ minLength: 1, maxLength: 100, noNaN: true, min: -1e3, max: 1e3 }), (values) => {
        const turned = Float64Array.from(values);
        rotate(turned, 'seed');
        const norm = (v: Float64Array) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
        expect(norm(turned)).toBeCloseTo(norm(values), 6);
        rotateBack(turned, 'seed');
        for (const [i, value] of turned.entries()) expect(value).toBeCloseTo(values[i]!, 6);
      }),
    );
  });

  test('rotated has no coordinate that stands out, even where the update had only one', () => {
    const spike = new Float64Array(length);
    spike[length - 1] = 1;
    rotate(spike, 'seed');
    expect(Math.max(...spike.map(Math.abs))).toBeLessThan(0.1);
  });

  test('decodes, summed, to the sum of the clipped updates but for rounding', () => {
    const encoding = plan();
    const updates = [0.3, 0.9, 4].map((norm, i) => update(i, norm));
    const sum = new Uint32Array(length);
    for (const u of updates) addPacked(sum, pack(encode(u, encoding), encoding.bits), encoding.bits);
    const decoded = decode(sum, encoding);
    const expected = updates.map((u, i) => u.map((x) => x * [1, 1, 0.25][i]!));
    let square = 0;
    for (let i = 0; i < length; i++)
      square += (decoded[i]! - expected[0]![i]! - expected[1]![i]! - expected[2]![i]!) ** 2;
    // Each rounding error has variance at most 1/4.
    expect(Math.sqrt(square)).toBeLessThan((2 * Math.sqrt((3 * length) / 4)) / encoding.scale);
  });

  test('decodes to the same in the memory that it is summed in', () => {
    const encoding = plan();
    const packed = pack(encode(update(1, 0.5), encoding), encoding.bits);
    const [apart, inPlace] = [new Uint32Array(length), createWords(length)];
    for (const sum of [apart, inPlace]) addPacked(sum, packed, encoding.bits);
    const before = apart.slice();
    const decoded = decode(inPlace, encoding);
    expect(decoded).toEqual(decode(apart, encoding));
    expect(decoded.buffer).toBe(inPlace.buffer);
    expect(apart).toEqual(before);
  });

  test('never has a larger norm than its sensitivity says, rounding included', () => {
    for (const scale of [5, 50, 1e4]) {
      const encoding = plan({ scale });
      for (let seed = 0; seed < 5; seed++) {
        const integers = centred(encode(update(seed, 10), encoding), encoding.bits);
        const l2 = Math.sqrt(integers.reduce((sum, x) => sum + x * x, 0));
        expect(l2).toBeLessThanOrEqual(encoding.l2Bound);
        expect(integers.reduce((sum, x) => sum + Math.abs(x), 0)).toBeLessThanOrEqual(encoding.l1Bound);
      }
    }
  });

  test('does not wrap around however rounding falls: drawn again, its errors are not those of one draw', () => {
    const cohort = 1_000;
    const encoding = planEncoding({ length: 64, clipNorm: 0.01, scale: 1, cohort, rotationSeed: 'r' });
    const small = new Float64Array(64);
    small[0] = 0.01;
    rotateBack(small, encoding.rotationSeed);
    // Everybody's first value is rounded up, to 1.
    const rounded = encode(small, encoding, undefined, (words) => words.fill(0).fill(2 ** 32 - 1, 0, 1));
    const total = decode(
      rounded.map((word) => word * cohort),
      encoding,
    );
    rotate(total, encoding.rotationSeed);
    expect(total[0]).toBeCloseTo(cohort, 9);
  });

  test('does not wrap around when the whole cohort sends the same, largest update with noise', () => {
    const encoding = plan({ noiseVariance: 400 });
    const noise = createSkellam(rationalOf(400), random);
    const same = update(1, 1);
    const sum = new Uint32Array(length);
    for (let i = 0; i < 10; i++) addPacked(sum, pack(encode(same, encoding, noise), encoding.bits), encoding.bits);
    const decoded = decode(sum, encoding);
    const off = Math.max(...decoded.map((x, i) => Math.abs(x - 10 * same[i]!)));
    expect(off).toBeLessThan((8 * Math.sqrt(4000 + 10)) / encoding.scale);
    expect(packedBytes(length, encoding.bits)).toBeLessThan(length * 3);
  });

  test('is refused when not finite, of another length, or without the noise that was agreed', () => {
    expect(() => encode(new Float64Array(3), plan())).toThrow(/1500/);
    expect(() => encode(new Float64Array(length).fill(Number.NaN), plan())).toThrow(/finite/);
    expect(() => encode(new Float64Array(length), plan({ noiseVariance: 4 }))).toThrow(/noise/);
    expect(() => plan({ scale: 1e12 })).toThrow(RangeError);
  });
});
