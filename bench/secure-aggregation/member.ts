/** What a round costs a member. */
import {
  createSkellam,
  encode,
  maskInput,
  packedBytes,
  rationalOf,
  type SealedShares,
  type Shared,
  shareSecrets,
} from '@foedus/fl-core';
import { cpu, keyStream, median } from './measure.ts';
import { edges, encodingFor, exchangeKeys, termsFor } from './round.ts';

export interface MemberCosts {
  readonly members: number;
  readonly length: number;
  readonly degree: number;
  readonly bits: number;
  /** Medians in ms of CPU; the total is the median of totals. */
  readonly ms: Readonly<Record<'shares' | 'encode' | 'mask' | 'total' | 'aes', number>>;
  readonly bytes: { readonly up: number; readonly down: number; readonly packed: number };
}

export async function measureMember(
  members: number,
  length: number,
  wanted: number,
  repeats: number,
): Promise<MemberCosts> {
  const encoding = encodingFor(members, length);
  const terms = termsFor(members, wanted, encoding);
  const { next, outgoing, states, bytes: keyBytes } = await exchangeKeys(terms);
  // The one that is measured, and its neighbours, whose shares it gets.
  const own = 0;
  const roster = outgoing.get(own)!;
  let state: Shared | undefined;
  let sent: SealedShares | undefined;
  const shareTimes: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const start = cpu();
    const step = await shareSecrets(states[own]!, roster, edges);
    shareTimes.push(cpu() - start);
    ({ state, message: sent } = step);
  }
  next.accept(own, sent);
  for (const [neighbour] of roster.neighbours) {
    next.accept(neighbour, (await shareSecrets(states[neighbour]!, outgoing.get(neighbour), edges)).message);
  }
  const inbox = next.close().outgoing.get(own)!;

  const { random } = edges;
  const update = Float32Array.from({ length }, () => (random.bits(24) / 2 ** 23 - 1) / Math.sqrt(length));
  const noise = createSkellam(rationalOf(encoding.noiseVariance), random);
  const times = { encode: [] as number[], mask: [] as number[], total: [] as number[], aes: [] as number[] };
  let inputBytes = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const start = cpu();
    const input = encode(update, encoding, noise);
    const encoded = cpu();
    inputBytes = maskInput(state!, inbox, input).message.length;
    const masked = cpu();
    times.encode.push(encoded - start);
    times.mask.push(masked - encoded);
    times.total.push(masked - start + shareTimes[repeat]!);
    times.aes.push(keyStream(inbox.shares.length + 1, length));
  }
  return {
    members,
    length,
    degree: inbox.shares.length,
    bits: encoding.bits,
    ms: {
      shares: median(shareTimes),
      encode: median(times.encode),
      mask: median(times.mask),
      total: median(times.total),
      aes: median(times.aes),
    },
    bytes: {
      up: keyBytes + JSON.stringify(sent).length + inputBytes,
      down: JSON.stringify(roster).length + JSON.stringify(inbox).length,
      packed: packedBytes(length, encoding.bits),
    },
  };
}
