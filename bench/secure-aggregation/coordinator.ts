/**
 * What a round costs the coordinator. Members come one after the other, and of each only its state is kept, never its
 * input: the process takes about as much memory with 1,000 members as with 100.
 */
import { randomFillSync } from 'node:crypto';
import {
  chooseDegree,
  confirmSurvivors,
  type Confirmed,
  maskInput,
  type Masked,
  type Shared,
  shareSecrets,
  unmask,
} from '@foedus/fl-core';
import { createClock, keyStream, progress } from './measure.ts';
import { edges, encodingFor, exchangeKeys, termsFor } from './round.ts';

export interface CoordinatorCosts {
  readonly members: number;
  readonly length: number;
  readonly dropped: number;
  readonly degree: number;
  /** That are taken off: of survivors their own, of drop-outs those with each surviving neighbour. */
  readonly masks: number;
  /** ms of CPU: up to the last answer, from there to the sum, and what AES alone takes for as many masks. */
  readonly ms: { readonly messages: number; readonly unmasking: number; readonly aes: number };
  /** The most that was resident, members and all. */
  readonly residentBytes: number;
}

/** Members that are gone share their secrets, and send no input. */
export async function measureCoordinator(
  members: number,
  length: number,
  droppedShare: number,
): Promise<CoordinatorCosts> {
  const encoding = encodingFor(members, length);
  const dropped = Math.round(members * droppedShare);
  const chosen = chooseDegree({
    members,
    corrupt: Math.round(members * 0.02),
    dropped: Math.max(dropped, Math.round(members * 0.05)),
  });
  const terms = termsFor(members, chosen, encoding);
  const name = `n = ${members}, P = ${length}, ${dropped} dropped, k = ${terms.degree ?? members - 1}`;
  const { measure, spent } = createClock();
  let residentBytes = 0;
  const sample = (): void => void (residentBytes = Math.max(residentBytes, process.memoryUsage.rss()));

  progress(`${name}: keys and shares`);
  const { next, outgoing, states } = await exchangeKeys(terms, measure);
  const shared: Shared[] = [];
  for (const [member, roster] of outgoing) {
    const { state, message } = await shareSecrets(states[member]!, roster, edges);
    await measure(() => next.accept(member, message));
    shared.push(state);
  }
  const inputs = await measure(() => next.close());

  progress(`${name}: masked inputs`);
  const masked = new Map<number, Masked>();
  const input = randomFillSync(new Uint32Array(length));
  for (const [member, inbox] of inputs.outgoing) {
    if (member < dropped) continue;
    const { state, message } = maskInput(shared[member]!, inbox, input);
    await measure(() => inputs.next.accept(member, message));
    masked.set(member, state);
    sample();
  }
  const survivors = await measure(() => inputs.next.close());
  const confirmed = new Map<number, Confirmed>();
  for (const [member, list] of survivors.outgoing) {
    const { state, message } = await confirmSurvivors(masked.get(member)!, list, edges);
    await measure(() => survivors.next.accept(member, message));
    confirmed.set(member, state);
  }
  const last = await measure(() => survivors.next.close());
  let pairs = 0;
  for (const [member, signatures] of last.outgoing) {
    const answer = await unmask(confirmed.get(member)!, signatures, edges);
    pairs += answer.maskKeys.length;
    await measure(() => last.next.accept(member, answer));
  }

  const messages = spent();
  const masks = members - dropped + pairs;
  progress(`${name}: taking ${masks} masks off`);
  const { sum } = await measure(() => last.next.close());
  sample();
  const shift = 32 - encoding.bits;
  for (const at of [0, length - 1]) {
    if (sum[at]! << shift !== Math.imul(input[at]!, members - dropped) << shift) throw new Error('The sum is wrong.');
  }
  const probe = Math.min(masks, Math.ceil(1e8 / length));
  return {
    members,
    length,
    dropped,
    degree: terms.degree ?? members - 1,
    masks,
    ms: { messages, unmasking: spent() - messages, aes: (keyStream(probe, length) / probe) * masks },
    residentBytes,
  };
}
