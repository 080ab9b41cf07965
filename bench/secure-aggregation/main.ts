/**
 * What secure aggregation costs a member (CPU and bytes) and the coordinator (CPU with members dropped), beside the AES
 * key stream alone that the same masks take, measured in the same run.
 *
 * One member and the coordinator are measured as they are; the other members' messages come from the same functions. To
 * keep the coordinator's run short their uploads are masked once each, outside the measured time.
 */
import { createCipheriv, randomBytes, randomFillSync } from 'node:crypto';
import { parseArgs } from 'node:util';
import {
  type Advertised,
  advertiseKeys,
  chooseDegree,
  confirmSurvivors,
  type Confirmed,
  createRandomBits,
  createSkellam,
  encode,
  maskInput,
  type Masked,
  openRound,
  packedBytes,
  planEncoding,
  rationalOf,
  type RoundTerms,
  type Shared,
  shareSecrets,
  unmask,
} from '@foedus/fl-core';

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '100,1000' },
    parameters: { type: 'string', default: '100000,1000000' },
    dropped: { type: 'string', default: '0,10,30' },
    degree: { type: 'string', default: '32' },
    /** Members of the coordinator's part and its parameters. */
    server: { type: 'string', default: '100x100000,100x1000000,1000x100000' },
  },
});
const numbers = (text: string): number[] => text.split(',').map(Number);
const random = createRandomBits();
// Signatures are ECDSA of the participants' certificates in a round; what they cost is not this protocol's.
const edges = { random, sign: async () => 'signature', verify: async () => {} };

const cpu = (): number => process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000;
const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[all.length >> 1] ?? NaN;

function termsFor(members: number, length: number, degree: number | null, bits: number): RoundTerms {
  return {
    protocol: 'foedus-secure-aggregation-1',
    sessionId: 'bench',
    round: 1,
    cohort: Array.from({ length: members }, (_, i) => `did:web:member-${String(i).padStart(5, '0')}.example`),
    modelHash: '0'.repeat(64),
    policyHash: '0'.repeat(64),
    mode: 'honest-server',
    degree,
    minimumCohort: 2,
    length,
    bits,
  };
}

const encodingFor = (cohort: number, length: number) =>
  planEncoding({ length, clipNorm: 1, scale: 2 ** 16, cohort, rotationSeed: 'bench', noiseVariance: 100 });

async function keysOf(terms: RoundTerms) {
  const stage = openRound(terms, edges.verify);
  const states: Advertised[] = [];
  let bytes = 0;
  for (const [member, id] of terms.cohort.entries()) {
    const step = await advertiseKeys(terms, id, edges);
    await stage.accept(member, step.message);
    states.push(step.state);
    if (member === 0) bytes = JSON.stringify(step.message).length;
  }
  return { ...stage.close(), states, bytes };
}

async function measureMember(members: number, length: number): Promise<void> {
  const encoding = encodingFor(members, length);
  const degree = Math.min(Number(values.degree), members - 1);
  const terms = termsFor(members, length, degree < members - 1 ? degree : null, encoding.bits);
  const { next, outgoing, states, bytes } = await keysOf(terms);
  const shared: Shared[] = [];
  const sizes = { keys: bytes, shares: 0, input: 0, download: JSON.stringify(outgoing.get(0)).length };
  const times = { shares: 0, encode: [] as number[], mask: [] as number[], aes: [] as number[] };
  for (const [index, roster] of outgoing) {
    const start = cpu();
    const step = await shareSecrets(states[index]!, roster, edges);
    if (index === members - 1) times.shares = cpu() - start;
    next.accept(index, step.message);
    shared.push(step.state);
    if (index === 0) sizes.shares = JSON.stringify(step.message).length;
  }
  const inbox = next.close().outgoing.get(0)!;
  sizes.download += JSON.stringify(inbox).length;
  const update = Float32Array.from({ length }, () => (random.bits(24) / 2 ** 23 - 1) / Math.sqrt(length));
  const noise = createSkellam(rationalOf(encoding.noiseVariance), random);
  for (let repeat = 0; repeat < 5; repeat++) {
    const before = cpu();
    const input = encode(update, encoding, noise);
    const encoded = cpu();
    const { message } = maskInput(shared[0]!, inbox, input);
    const masked = cpu();
    for (let mask = 0; mask < inbox.shares.length + 1; mask++) {
      const cipher = createCipheriv('aes-128-ctr', randomBytes(16), new Uint8Array(16));
      const zeros = new Uint8Array(32_768);
      for (let at = 0; at < length * 4; at += zeros.length) {
        // Freed at once, as masks are: otherwise the collector would be measured.
        cipher.update(zeros).buffer.transfer(0);
      }
    }
    times.aes.push(cpu() - masked);
    times.mask.push(masked - encoded);
    times.encode.push(encoded - before);
    sizes.input = message.length;
  }
  const up = sizes.keys + sizes.shares + sizes.input;
  console.log(
    `P = ${length}, n = ${members}, k = ${inbox.shares.length}, ${encoding.bits} bits: ` +
      `encode ${median(times.encode).toFixed(0)} ms, share ${times.shares.toFixed(0)} ms, ` +
      `mask ${median(times.mask).toFixed(0)} ms CPU = ${(median(times.mask) / median(times.aes)).toFixed(2)} × AES alone; ` +
      `up ${(up / 1e3).toFixed(0)} kB = ${(up / packedBytes(length, encoding.bits)).toFixed(3)} × packed, ` +
      `down ${(sizes.download / 1e3).toFixed(0)} kB`,
  );
}

async function measureCoordinator(members: number, length: number, droppedShare: number): Promise<void> {
  const encoding = encodingFor(members, length);
  const dropped = Math.round(members * droppedShare);
  const chosen = chooseDegree({
    members,
    corrupt: Math.round(members * 0.02),
    dropped: Math.max(dropped, Math.round(members * 0.05)),
  });
  const degree = chosen ?? members - 1;
  const terms = termsFor(members, length, chosen, encoding.bits);
  let spent = 0;
  const measured = async <T>(run: () => T | Promise<T>): Promise<T> => {
    const start = cpu();
    const result = await run();
    spent += cpu() - start;
    return result;
  };
  const { next, outgoing, states } = await keysOf(terms);
  const shared: Shared[] = [];
  for (const [index, roster] of outgoing) {
    const step = await shareSecrets(states[index]!, roster, edges);
    await measured(() => next.accept(index, step.message));
    shared.push(step.state);
  }
  const inboxes = await measured(() => next.close());
  const masked = new Map<number, Masked>();
  const input = randomFillSync(new Uint32Array(length));
  for (const [index, inbox] of inboxes.outgoing) {
    if (index < dropped) continue;
    const step = maskInput(shared[index]!, inbox, input);
    await measured(() => inboxes.next.accept(index, step.message));
    masked.set(index, step.state);
  }
  const survivors = await measured(() => inboxes.next.close());
  const confirmed = new Map<number, Confirmed>();
  for (const [index, list] of survivors.outgoing) {
    const step = await confirmSurvivors(masked.get(index)!, list, edges);
    await survivors.next.accept(index, step.message);
    confirmed.set(index, step.state);
  }
  const last = await measured(() => survivors.next.close());
  for (const [index, signatures] of last.outgoing) {
    const answer = await unmask(confirmed.get(index)!, signatures, edges);
    await measured(() => last.next.accept(index, answer));
  }
  const before = spent;
  const { sum } = await measured(() => last.next.close());
  const bits = 32 - encoding.bits;
  const expected = Math.imul(input[0]!, members - dropped) << bits;
  if (sum[0]! << bits !== expected) throw new Error('the sum is wrong');
  console.log(
    `coordinator, n = ${members}, P = ${length}, ${droppedShare * 100} % dropped, k = ${degree}: ` +
      `${spent.toFixed(0)} ms CPU (of it taking masks off ${(spent - before).toFixed(0)})`,
  );
}

for (const length of numbers(values.parameters)) {
  for (const members of numbers(values.members)) await measureMember(members, length);
}
for (const size of values.server.split(',')) {
  const [members = 100, length = 100_000] = size.split('x').map(Number);
  for (const percent of numbers(values.dropped)) await measureCoordinator(members, length, percent / 100);
}
