/**
 * A member's side of one round: Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning",
 * 2017, figure 4, with its additions against an active server (signed keys, consistency check), over the neighbours of
 * Bell et al. 2020. Every function takes a state and a message and returns the next state and what to send; nothing else
 * is touched. A state is used once: answering a second message with an old state is the caller's mistake, and what it
 * must persist for a restart says the README.
 *
 * Whatever is thrown ends the round for this member: it forgets its state and answers nothing more.
 */
import type { RandomBits } from '../noise/random-bits.ts';
import { RoundFailure } from './failure.ts';
import { neighboursOfOne, thresholdOf } from './graph.ts';
import {
  KEY_BYTES,
  open,
  pairMaskKey,
  privateKeyOf,
  publicKeyOf,
  seal,
  sealingKeys,
  sealingOf,
  selfMaskCommitment,
  selfMaskKey,
} from './keys.ts';
import { PIECE, type SignedMask, streamMasks } from './mask.ts';
import {
  type Advertisement,
  type Confirmation,
  type Confirmations,
  confirmationsSchema,
  type Roster,
  rosterSchema,
  type SealedShares,
  sealedSharesSchema,
  type SignedAdvertisement,
  type Survivors,
  survivorsSchema,
  type Unmasking,
} from './messages.ts';
import { packedBytes, packInto } from './packing.ts';
import { SHARE_BYTES, split } from './shamir.ts';
import { documentHash, type RoundTerms, roundTermsSchema } from './terms.ts';
import {
  checkAdvertisement,
  confirmationOf,
  namesOf,
  parse,
  requirePhase,
  rosterHash,
  type RoundNames,
} from './view.ts';

/** What a member needs from outside. */
export interface MemberEdges {
  readonly random: RandomBits;
  /** Signs a document with the participant's certificate. */
  readonly sign: (document: object) => Promise<string>;
  /** Throws unless the signature is the participant's over the document. */
  readonly verify: (signature: string, document: object, participant: string) => Promise<void>;
}

interface Round extends RoundNames {
  readonly own: number;
}

/** Secrets of one round: 32 bytes each, from the operating system's generator, never used again. */
interface Secrets {
  readonly maskKey: Uint8Array;
  readonly shareKey: Uint8Array;
  /** What the member's own mask follows from. */
  readonly selfMask: Uint8Array;
}

export interface Advertised {
  readonly phase: 'advertised';
  readonly round: Round;
  readonly secrets: Secrets;
  readonly advertisement: Advertisement;
}

export interface Shared {
  readonly phase: 'shared';
  readonly round: Round;
  readonly secrets: Secrets;
  readonly rosterHash: string;
  readonly members: ReadonlySet<number>;
  readonly neighbours: ReadonlyMap<number, Advertisement>;
  /** What the neighbours' shares are opened with. */
  readonly openingKeys: ReadonlyMap<number, Uint8Array>;
  readonly threshold: number;
  /** The member's own share of its self-mask. */
  readonly ownShare: Uint8Array;
}

/** Both shares that a neighbour gave: of its self-mask and of its mask key. At most one is ever given away. */
interface HeldShares {
  readonly selfMask: Uint8Array;
  readonly maskKey: Uint8Array;
}

export interface Masked {
  readonly phase: 'masked';
  readonly round: Round;
  readonly rosterHash: string;
  readonly members: ReadonlySet<number>;
  readonly threshold: number;
  readonly held: ReadonlyMap<number, HeldShares>;
  readonly ownShare: Uint8Array;
}

export interface Confirmed {
  readonly phase: 'confirmed';
  readonly round: Round;
  readonly rosterHash: string;
  readonly threshold: number;
  readonly held: ReadonlyMap<number, HeldShares>;
  readonly ownShare: Uint8Array;
  readonly survivors: readonly number[];
  readonly survivorsHash: string;
}

export interface Step<State, Message> {
  readonly state: State;
  readonly message: Message;
}

/**
 * Begins a round with fresh keys.
 *
 * @param participant the member's own id, one of the cohort
 * @throws RoundFailure when the terms do not hold together or do not name the member
 */
export async function advertiseKeys(
  input: RoundTerms,
  participant: string,
  { random, sign }: Pick<MemberEdges, 'random' | 'sign'>,
): Promise<Step<Advertised, SignedAdvertisement>> {
  const terms = parse(roundTermsSchema, input);
  const own = terms.cohort.indexOf(participant);
  if (own < 0) throw new RoundFailure('other-round', `The cohort does not name ${participant}.`);
  if (terms.cohort.length < terms.minimumCohort) {
    throw new RoundFailure('below-minimum', `The cohort is smaller than ${terms.minimumCohort}.`);
  }
  const fresh = (): Uint8Array => Uint8Array.from({ length: KEY_BYTES }, () => random.bits(8));
  const secrets = { maskKey: fresh(), shareKey: fresh(), selfMask: fresh() };
  const names = namesOf(terms);
  const { hash, cohortHash } = names;
  const advertisement: Advertisement = {
    type: 'foedus-key-advertisement',
    participant,
    sessionId: terms.sessionId,
    round: terms.round,
    cohortHash,
    modelHash: terms.modelHash,
    policyHash: terms.policyHash,
    termsHash: hash,
    maskKey: publicKeyOf(secrets.maskKey),
    shareKey: publicKeyOf(secrets.shareKey),
    selfMaskCommitment: selfMaskCommitment(secrets.selfMask, hash, participant),
  };
  return {
    state: { phase: 'advertised', round: { ...names, own }, secrets, advertisement },
    message: { advertisement, signature: await sign(advertisement) },
  };
}

/**
 * Checks the roster and shares both secrets among the neighbours.
 *
 * @throws RoundFailure when the roster is too small, lists a stranger, a key twice or another key than the member's own,
 *   leaves out a neighbour, or contains an advertisement that is not signed for this very round
 */
export async function shareSecrets(
  state: Advertised,
  message: unknown,
  { random, verify }: Pick<MemberEdges, 'random' | 'verify'>,
): Promise<Step<Shared, SealedShares>> {
  requirePhase(state, 'advertised');
  const { round, secrets, advertisement } = state;
  const { terms, hash, own } = round;
  const roster: Roster = parse(rosterSchema, message, hash);
  const hashes = new Map(roster.members);
  const members = roster.members.map(([member]) => member);
  if (members.some((member, i) => member >= terms.cohort.length || (i > 0 && members[i - 1]! >= member))) {
    throw new RoundFailure('inconsistent-view', 'The roster lists members twice or that are not of the cohort.');
  }
  if (members.length < terms.minimumCohort) {
    throw new RoundFailure(
      'below-minimum',
      `Only ${members.length} of at least ${terms.minimumCohort} members are here.`,
    );
  }
  if (hashes.get(own) !== documentHash(advertisement)) {
    throw new RoundFailure('inconsistent-view', 'The roster does not contain this member as it advertised itself.');
  }
  const view = rosterHash(roster);
  const linked = neighboursOfOne(own, members, terms.degree, view);
  const given = new Map(roster.neighbours);
  const neighbours = new Map<number, Advertisement>();
  const keys = new Set([advertisement.maskKey, advertisement.shareKey]);
  for (const neighbour of linked) {
    const signed = given.get(neighbour);
    if (signed === undefined || documentHash(signed.advertisement) !== hashes.get(neighbour)) {
      throw new RoundFailure(
        'inconsistent-view',
        `The advertisement of ${terms.cohort[neighbour]!} is not the roster's.`,
      );
    }
    await checkAdvertisement(signed, neighbour, round, verify);
    keys.add(signed.advertisement.maskKey).add(signed.advertisement.shareKey);
    neighbours.set(neighbour, signed.advertisement);
  }
  if (keys.size !== 2 * (linked.length + 1)) throw new RoundFailure('inconsistent-view', 'Two members have one key.');
  const threshold = thresholdOf(linked.length, terms.mode);
  // The member is the last of the holders of its own shares.
  const points = [...linked, own].map((holder) => holder + 1);
  const ofSelfMask = split(secrets.selfMask, points, threshold, random);
  const ofMaskKey = split(secrets.maskKey, points, threshold, random);
  const shareKey = privateKeyOf(secrets.shareKey);
  const openingKeys = new Map<number, Uint8Array>();
  const shares = linked.map((neighbour, i): [number, string] => {
    const { seals, opens } = sealingKeys(shareKey, neighbours.get(neighbour)!.shareKey, view, own, neighbour);
    openingKeys.set(neighbour, opens);
    const plain = Buffer.concat([ofSelfMask[i]!, ofMaskKey[i]!]);
    return [neighbour, seal(seals, plain, sealingOf(view, own, neighbour)).toString('base64')];
  });
  return {
    state: {
      phase: 'shared',
      round,
      secrets,
      rosterHash: view,
      members: new Set(members),
      neighbours,
      openingKeys,
      threshold,
      ownShare: ofSelfMask[linked.length]!,
    },
    message: { termsHash: hash, shares },
  };
}

/**
 * Opens the neighbours' shares and masks the input. Those who sent none are treated as gone.
 *
 * @param input ring elements, words [P]; not changed
 * @returns the masked input, packed to the ring's bits
 * @throws RoundFailure when too few neighbours are left, a share cannot be opened, or the input has another length
 */
export function maskInput(state: Shared, message: unknown, input: Uint32Array): Step<Masked, Uint8Array<ArrayBuffer>> {
  requirePhase(state, 'shared');
  const { round, secrets, rosterHash: view, members, neighbours, openingKeys, threshold, ownShare } = state;
  const { terms, hash, own } = round;
  const inbox = parse(sealedSharesSchema, message, hash);
  if (input.length !== terms.length) {
    throw new RoundFailure('bad-input', `The input has ${input.length} elements; the round's have ${terms.length}.`);
  }
  const held = new Map<number, HeldShares>();
  for (const [from, sealed] of inbox.shares) {
    const key = openingKeys.get(from);
    if (key === undefined || held.has(from)) {
      throw new RoundFailure('inconsistent-view', `Shares of ${from} came twice or from no neighbour.`);
    }
    const plain = open(key, Buffer.from(sealed, 'base64'), sealingOf(view, from, own));
    if (plain?.length !== 2 * SHARE_BYTES) {
      const { participant } = neighbours.get(from)!;
      const why = `The shares of ${participant} were not sealed for this member and round.`;
      throw new RoundFailure('bad-share', why, from);
    }
    held.set(from, { selfMask: plain.subarray(0, SHARE_BYTES), maskKey: plain.subarray(SHARE_BYTES) });
  }
  if (held.size + 1 < threshold) {
    throw new RoundFailure(
      'below-threshold',
      `With this one only ${held.size + 1} members shared; ${threshold} are needed.`,
    );
  }
  const maskKey = privateKeyOf(secrets.maskKey);
  const masks = [...held.keys()].map((other): SignedMask => ({
    key: pairMaskKey(maskKey, neighbours.get(other)!.maskKey, view, own, other),
    sign: own < other ? 1 : -1,
  }));
  const all: SignedMask[] = [{ key: selfMaskKey(secrets.selfMask, view), sign: 1 }, ...masks];
  return {
    state: { phase: 'masked', round, rosterHash: view, members, threshold, held, ownShare },
    message: packMasked(input, all, terms.bits),
  };
}

/** Piece by piece, so that nothing of the size of the input is written but what goes on the wire. */
function packMasked(input: Uint32Array, masks: readonly SignedMask[], bits: number): Uint8Array<ArrayBuffer> {
  const size = packedBytes(input.length, bits);
  const words = new Int32Array(Math.ceil(size / 4));
  const { add, end } = streamMasks(masks);
  const buffer = new Uint32Array(Math.min(PIECE, input.length));
  for (let at = 0; at < input.length; at += PIECE) {
    const piece = buffer.subarray(0, input.length - at);
    piece.set(input.subarray(at, at + piece.length));
    add(piece);
    packInto(words.subarray((at / 32) * bits), piece, bits);
  }
  end();
  return new Uint8Array(words.buffer, 0, size);
}

/**
 * Signs whose inputs the server says are in the sum.
 *
 * @throws RoundFailure when too few are, this member is not, or one is of whom nobody heard
 */
export async function confirmSurvivors(
  state: Masked,
  message: unknown,
  { sign }: Pick<MemberEdges, 'sign'>,
): Promise<Step<Confirmed, string>> {
  requirePhase(state, 'masked');
  const { round, rosterHash: view, members, threshold, held, ownShare } = state;
  const { survivors }: Survivors = parse(survivorsSchema, message, round.hash);
  if (survivors.some((member, i) => !members.has(member) || (i > 0 && survivors[i - 1]! >= member))) {
    throw new RoundFailure('inconsistent-view', 'The survivors are not all members of the roster, each once.');
  }
  if (!survivors.includes(round.own)) {
    throw new RoundFailure(
      'inconsistent-view',
      'The server says that this member dropped out, and asks it all the same.',
    );
  }
  if (survivors.length < round.terms.minimumCohort) {
    throw new RoundFailure(
      'below-minimum',
      `Only ${survivors.length} inputs of at least ${round.terms.minimumCohort}.`,
    );
  }
  const survivorsHash = documentHash(survivors);
  const document = confirmationOf(round.terms, round.hash, view, survivorsHash, round.own);
  return {
    state: { phase: 'confirmed', round, rosterHash: view, threshold, held, ownShare, survivors, survivorsHash },
    message: await sign(document),
  };
}

/**
 * Gives away one share of every neighbour, once at least the threshold of holders have signed the same survivors: of
 * the self-mask of a survivor, of the mask key of a dropout, never both. There is no state after this: the round is over
 * for the member.
 *
 * @throws RoundFailure when signatures are wrong, of others than surviving neighbours, or too few
 */
export async function unmask(
  state: Confirmed,
  message: unknown,
  { verify }: Pick<MemberEdges, 'verify'>,
): Promise<Unmasking> {
  requirePhase(state, 'confirmed');
  const { round, rosterHash: view, threshold, held, ownShare, survivors, survivorsHash } = state;
  const { signatures }: Confirmations = parse(confirmationsSchema, message, round.hash);
  const alive = new Set(survivors);
  const signers = new Set<number>();
  for (const [member, signature] of signatures) {
    if (!alive.has(member) || !held.has(member) || signers.has(member)) {
      throw new RoundFailure('inconsistent-view', `Member ${member} confirms twice or is no surviving neighbour.`);
    }
    const document: Confirmation = confirmationOf(round.terms, round.hash, view, survivorsHash, member);
    await verify(signature, document, document.participant).catch((cause: unknown) => {
      throw new RoundFailure(
        'inconsistent-view',
        `Member ${member} has not confirmed the same survivors: ${String(cause)}. Nothing is given away.`,
      );
    });
    signers.add(member);
  }
  if (signers.size + 1 < threshold) {
    throw new RoundFailure(
      'below-threshold',
      `With this one only ${signers.size + 1} members confirmed; ${threshold} are needed.`,
    );
  }
  const selfMasks: [number, string][] = [[round.own, Buffer.from(ownShare).toString('base64')]];
  const maskKeys: [number, string][] = [];
  for (const [member, shares] of held) {
    if (alive.has(member)) selfMasks.push([member, Buffer.from(shares.selfMask).toString('base64')]);
    else maskKeys.push([member, Buffer.from(shares.maskKey).toString('base64')]);
  }
  return { termsHash: round.hash, selfMasks, maskKeys };
}
