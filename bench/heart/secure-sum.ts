/** A round's updates summed by the real protocol, all steps of it, with the members and the coordinator in one process. */
import { generateKeyPairSync, hash, type KeyObject, sign, verify } from 'node:crypto';
import {
  type Advertised,
  advertiseKeys,
  confirmSurvivors,
  type Confirmed,
  createRandomBits,
  decode,
  encode,
  type Encoding,
  maskInput,
  type Masked,
  type MemberEdges,
  openRound,
  parametersHash,
  planEncoding,
  type RoundTerms,
  type Shared,
  shareSecrets,
  unmask,
} from '@foedus/fl-core';

/** Larger than the updates of the experiments: clipping would be another difference than quantisation. */
const CLIP_NORM = 8;
const SCALE = 2 ** 18;

export interface SecureSum {
  /**
   * @param round another number every time
   * @param parameters float32 [P] that the round starts from
   * @param updates float32 [P] of each member
   * @param fill random bytes for rounding; keys and masks are the operating system's, and cancel exactly
   * @returns float64 [P]: the sum of the members' updates
   */
  sum(
    round: number,
    parameters: Float32Array,
    updates: readonly Float32Array[],
    fill: (words: Uint32Array) => void,
  ): Promise<Float64Array>;
  /** Bits of a ring element on the wire. */
  readonly bits: number;
}

/** @param members how many; at least two */
export function createSecureSum(members: number, length: number): SecureSum {
  const cohort = Array.from({ length: members }, (_, i) => `did:web:hospital-${i}.example`);
  const keys = new Map(cohort.map((id) => [id, generateKeyPairSync('ed25519')]));
  const random = createRandomBits();
  const edgesOf = (id: string): MemberEdges => ({
    random,
    sign: (document) => Promise.resolve(sign(null, bytesOf(document), keys.get(id)!.privateKey).toString('base64')),
    verify: verifyWith(keys),
  });
  const encodingOf = (round: number): Encoding =>
    planEncoding({
      length,
      clipNorm: CLIP_NORM,
      scale: SCALE,
      cohort: members,
      rotationSeed: hash('sha256', `heart ${round}`, 'hex'),
    });

  return {
    bits: encodingOf(1).bits,
    async sum(round, parameters, updates, fill) {
      if (updates.some((update) => Math.hypot(...update) > CLIP_NORM)) {
        throw new RangeError(`An update is longer than ${CLIP_NORM} and would be clipped.`);
      }
      const encoding = encodingOf(round);
      const terms: RoundTerms = {
        protocol: 'foedus-secure-aggregation-1',
        sessionId: 'heart',
        round,
        cohort,
        modelHash: parametersHash(parameters),
        policyHash: '0'.repeat(64),
        mode: 'active-server',
        degree: null,
        minimumCohort: members,
        length,
        bits: encoding.bits,
        gridExponent: Math.log2(SCALE),
      };
      const inputs = updates.map((update) => encode(update, encoding, undefined, fill));
      return decode(await playRound(terms, cohort.map(edgesOf), inputs), encoding);
    },
  };
}

const bytesOf = (document: object): Buffer => Buffer.from(JSON.stringify(document));

function verifyWith(keys: ReadonlyMap<string, { readonly publicKey: KeyObject }>): MemberEdges['verify'] {
  return async (signature, document, participant) => {
    const key = keys.get(participant)?.publicKey;
    if (key === undefined || !verify(null, bytesOf(document), key, Buffer.from(signature, 'base64'))) {
      throw new Error(`The signature is not one of ${participant}.`);
    }
  };
}

async function playRound(
  terms: RoundTerms,
  edges: readonly MemberEdges[],
  inputs: readonly Uint32Array[],
): Promise<Uint32Array> {
  const keys = openRound(terms, edges[0]!.verify);
  const advertised: Advertised[] = [];
  for (const [member, id] of terms.cohort.entries()) {
    const { state, message } = await advertiseKeys(terms, id, edges[member]!);
    await keys.accept(member, message);
    advertised.push(state);
  }
  const rosters = keys.close();
  const shared = new Map<number, Shared>();
  for (const [member, roster] of rosters.outgoing) {
    const { state, message } = await shareSecrets(advertised[member]!, roster, edges[member]!);
    rosters.next.accept(member, message);
    shared.set(member, state);
  }
  const inboxes = rosters.next.close();
  const masked = new Map<number, Masked>();
  for (const [member, inbox] of inboxes.outgoing) {
    const { state, message } = maskInput(shared.get(member)!, inbox, inputs[member]!);
    inboxes.next.accept(member, message);
    masked.set(member, state);
  }
  const survivors = inboxes.next.close();
  const confirmed = new Map<number, Confirmed>();
  for (const [member, list] of survivors.outgoing) {
    const { state, message } = await confirmSurvivors(masked.get(member)!, list, edges[member]!);
    await survivors.next.accept(member, message);
    confirmed.set(member, state);
  }
  const last = survivors.next.close();
  for (const [member, confirmations] of last.outgoing) {
    last.next.accept(member, await unmask(confirmed.get(member)!, confirmations, edges[member]!));
  }
  return last.next.close().sum;
}
