/**
 * The coordinator's side of one round. It is a sequence of stages; each collects one message of every member that is
 * still there and is closed by the caller (all have answered, or the time is up), which gives what to send to whom.
 *
 * The sum is kept in one array of the model's length, into which uploads are added as they come; no upload is kept. The
 * array and the tables of a stage are changed in place, and a stage must not be used after it was closed.
 *
 * The survivors are fixed once, when uploads close, and everything asked of members afterwards follows from them: no
 * sequence of calls makes this side ask for both secrets of anyone.
 */
import { createWords } from './encoding.ts';
import { RoundFailure } from './failure.ts';
import { neighboursOf, thresholdOf } from './graph.ts';
import {
  pairMaskKey,
  privateKeyOf,
  publicKeyOf,
  readPublicKey,
  requireUsable,
  selfMaskCommitment,
  selfMaskKey,
} from './keys.ts';
import { addMasks, type SignedMask } from './mask.ts';
import {
  type Advertisement,
  type Confirmations,
  type Roster,
  type SealedShares,
  sealedSharesSchema,
  type SignedAdvertisement,
  signedAdvertisementSchema,
  type Survivors,
  unmaskingSchema,
} from './messages.ts';
import { addPacked, packedBytes } from './packing.ts';
import { recover, type Share, SHARE_BYTES } from './shamir.ts';
import { documentHash, type RoundTerms, roundTermsSchema } from './terms.ts';
import { checkAdvertisement, confirmationOf, namesOf, parse, rosterHash, type RoundNames } from './view.ts';

type Verify = (signature: string, document: object, participant: string) => Promise<void>;

/** What to send to each member, by its index in the cohort. */
export type Outgoing<Message> = ReadonlyMap<number, Message>;

/** Collects advertisements. */
export interface KeysStage {
  /** @throws RoundFailure: the message is refused; the round goes on */
  accept(member: number, message: unknown): Promise<void>;
  /** @throws RoundFailure below-minimum: the round is over */
  close(): { readonly next: SharesStage; readonly outgoing: Outgoing<Roster> };
}

/** Collects sealed shares. */
export interface SharesStage {
  accept(member: number, message: unknown): void;
  close(): { readonly next: InputsStage; readonly outgoing: Outgoing<SealedShares> };
}

/** Collects masked inputs into the sum. */
export interface InputsStage {
  accept(member: number, packed: Uint8Array): void;
  close(): { readonly next: ConfirmationsStage; readonly outgoing: Outgoing<Survivors> };
}

/** Collects signatures of the survivors. */
export interface ConfirmationsStage {
  accept(member: number, signature: string): Promise<void>;
  close(): { readonly next: UnmaskingStage; readonly outgoing: Outgoing<Confirmations> };
}

/** Collects shares and takes the masks off. */
export interface UnmaskingStage {
  accept(member: number, message: unknown): void;
  /**
   * @returns words [P] of which the lower `bits` bits are the sum over the survivors
   * @throws RoundFailure below-threshold, bad-share: the round is over without output
   */
  close(): { readonly sum: Uint32Array; readonly survivors: readonly number[] };
}

interface Round extends RoundNames {
  readonly verify: Verify;
}

/** @throws RoundFailure when the terms do not hold together */
export function openRound(input: RoundTerms, verify: Verify): KeysStage {
  const terms = parse(roundTermsSchema, input);
  const round: Round = { ...namesOf(terms), verify };
  const adverts = new Map<number, SignedAdvertisement>();
  const taken = new Set<string>();
  return {
    async accept(member, message) {
      const signed = parse(signedAdvertisementSchema, message);
      if (member >= terms.cohort.length) throw new RoundFailure('other-round', 'This is no member of the cohort.');
      await checkAdvertisement(signed, member, round, verify);
      // What the other members would leave the round for costs only the one who sends it.
      const keys = [signed.advertisement.maskKey, signed.advertisement.shareKey];
      for (const key of keys) requireUsable(key);
      if (!adverts.has(member) && (new Set(keys).size < keys.length || keys.some((key) => taken.has(key)))) {
        throw new RoundFailure('bad-message', `Member ${member} advertises a key twice, or one of another member.`);
      }
      once(adverts, member, signed);
      for (const key of keys) taken.add(key);
    },
    close() {
      requireMinimum(round, adverts.size);
      const members = [...adverts.keys()].toSorted((a, b) => a - b);
      const hashes = members.map((member): [number, string] => [
        member,
        documentHash(adverts.get(member)!.advertisement),
      ]);
      const view = rosterHash({ termsHash: round.hash, members: hashes });
      const neighbours = neighboursOf(members, terms.degree, view);
      const outgoing = new Map(
        members.map((member): [number, Roster] => [
          member,
          {
            termsHash: round.hash,
            members: hashes,
            neighbours: neighbours.get(member)!.map((other) => [other, adverts.get(other)!]),
          },
        ]),
      );
      return { next: collectShares({ ...round, adverts, neighbours, view }), outgoing };
    },
  };
}

interface Rostered extends Round {
  readonly adverts: ReadonlyMap<number, SignedAdvertisement>;
  readonly neighbours: ReadonlyMap<number, readonly number[]>;
  readonly view: string;
}

function collectShares(round: Rostered): SharesStage {
  const sealed = new Map<number, ReadonlyMap<number, string>>();
  return {
    accept(member, message) {
      const { shares } = parse(sealedSharesSchema, message, round.hash);
      const expected = round.neighbours.get(member) ?? [];
      const given = new Map(shares);
      if (expected.length === 0 || given.size !== expected.length || expected.some((other) => !given.has(other))) {
        throw new RoundFailure('bad-message', `Member ${member} has not shared with exactly its neighbours.`);
      }
      once(sealed, member, given);
    },
    close() {
      requireMinimum(round, sealed.size);
      const outgoing = new Map(
        [...sealed.keys()].map((member): [number, SealedShares] => [
          member,
          {
            termsHash: round.hash,
            shares: round.neighbours
              .get(member)!
              .flatMap((other): [number, string][] =>
                sealed.has(other) ? [[other, sealed.get(other)!.get(member)!]] : [],
              ),
          },
        ]),
      );
      return { next: collectInputs(round, new Set(sealed.keys())), outgoing };
    },
  };
}

function collectInputs(round: Rostered, sharers: ReadonlySet<number>): InputsStage {
  const { length, bits } = round.terms;
  const sum = createWords(length);
  const uploaded = new Map<number, true>();
  return {
    accept(member, packed) {
      if (!sharers.has(member)) throw new RoundFailure('out-of-order', `Member ${member} has not shared its secrets.`);
      if (packed.length !== packedBytes(length, bits)) {
        throw new RoundFailure('bad-input', `An input has ${packedBytes(length, bits)} bytes; ${packed.length} came.`);
      }
      once(uploaded, member, true);
      addPacked(sum, packed, bits);
    },
    close() {
      requireMinimum(round, uploaded.size);
      const survivors = [...uploaded.keys()].toSorted((a, b) => a - b);
      const outgoing = new Map(
        survivors.map((member): [number, Survivors] => [member, { termsHash: round.hash, survivors }]),
      );
      return { next: collectConfirmations({ ...round, sharers, survivors, sum }), outgoing };
    },
  };
}

interface Summed extends Rostered {
  readonly sharers: ReadonlySet<number>;
  readonly survivors: readonly number[];
  readonly sum: Uint32Array;
}

function collectConfirmations(round: Summed): ConfirmationsStage {
  const survivorsHash = documentHash(round.survivors);
  const signatures = new Map<number, string>();
  return {
    async accept(member, signature) {
      if (!round.survivors.includes(member)) {
        throw new RoundFailure('out-of-order', `Member ${member} has no input in the sum.`);
      }
      const document = confirmationOf(round.terms, round.hash, round.view, survivorsHash, member);
      await round.verify(signature, document, document.participant).catch((cause: unknown) => {
        throw new RoundFailure('bad-signature', `Member ${member} has not signed the survivors: ${String(cause)}.`);
      });
      once(signatures, member, signature);
    },
    close() {
      const outgoing = new Map(
        [...signatures.keys()].map((member): [number, Confirmations] => [
          member,
          {
            termsHash: round.hash,
            signatures: round.neighbours
              .get(member)!
              .flatMap((other): [number, string][] => (signatures.has(other) ? [[other, signatures.get(other)!]] : [])),
          },
        ]),
      );
      return { next: collectUnmasking(round), outgoing };
    },
  };
}

function collectUnmasking(round: Summed): UnmaskingStage {
  const { terms, sum, survivors, sharers, neighbours, adverts, view } = round;
  const alive = new Set(survivors);
  const shares = new Map<number, Share[]>();
  const answered = new Map<number, true>();
  return {
    accept(member, message) {
      if (!alive.has(member)) throw new RoundFailure('out-of-order', `Member ${member} has no input in the sum.`);
      const { selfMasks, maskKeys } = parse(unmaskingSchema, message, round.hash);
      const linked = new Set(neighbours.get(member));
      const given = [...selfMasks, ...maskKeys];
      const isExpected =
        new Set(given.map(([other]) => other)).size === given.length &&
        given.every(([other]) => (linked.has(other) && sharers.has(other)) || other === member) &&
        selfMasks.every(([other]) => alive.has(other)) &&
        maskKeys.every(([other]) => !alive.has(other));
      if (!isExpected) throw new RoundFailure('bad-message', `Member ${member} gives other shares than are needed.`);
      once(answered, member, true);
      for (const [other, text] of given) {
        const bytes = Buffer.from(text, 'base64');
        if (bytes.length !== SHARE_BYTES) throw new RoundFailure('bad-share', `A share has ${SHARE_BYTES} bytes.`);
        const list = shares.get(other) ?? [];
        list.push({ at: member + 1, bytes });
        shares.set(other, list);
      }
    },
    close() {
      const secretOf = (member: number, isRight: (secret: Uint8Array) => boolean): Uint8Array => {
        const threshold = thresholdOf(neighbours.get(member)!.length, terms.mode);
        const given = shares.get(member) ?? [];
        if (given.length < threshold) {
          throw new RoundFailure('below-threshold', `${given.length} of ${threshold} shares of member ${member} came.`);
        }
        const secret = recover(given, threshold, isRight);
        if (secret === undefined) {
          throw new RoundFailure(
            'bad-share',
            `The ${given.length} shares of ${terms.cohort[member]!} do not give the secret that it advertised: it shared ` +
              'another, or its holders gave wrong ones. Hold the next round without it.',
            // Its holders together could have it blamed: with more wrong shares than the threshold leaves room for.
            member,
          );
        }
        return secret;
      };
      const advertisementOf = (member: number): Advertisement => adverts.get(member)!.advertisement;
      // All secrets first: a round that cannot end gives nothing away about its sum.
      const selfMasks = survivors.map((member): SignedMask => {
        const { selfMaskCommitment: committed, participant } = advertisementOf(member);
        const secret = secretOf(member, (one) => selfMaskCommitment(one, round.hash, participant) === committed);
        return { key: selfMaskKey(secret, view), sign: -1 };
      });
      const dropped = [...sharers].filter((member) => !alive.has(member));
      const keys = dropped.map((member) => {
        const secret = secretOf(member, (one) => publicKeyOf(one) === advertisementOf(member).maskKey);
        return [member, privateKeyOf(secret)] as const;
      });
      const read = new Map(
        keys.length === 0
          ? []
          : survivors.map((member) => [member, readPublicKey(advertisementOf(member).maskKey)] as const),
      );
      const pairs = keys.flatMap(([member, key]) =>
        neighbours
          .get(member)!
          .filter((other) => alive.has(other))
          .map((other): SignedMask => {
            const pair = pairMaskKey(key, read.get(other)!, view, member, other);
            // The survivor added it with its own sign.
            return { key: pair, sign: other < member ? -1 : 1 };
          }),
      );
      addMasks(sum, [...selfMasks, ...pairs]);
      return { sum, survivors };
    },
  };
}

function once<T>(table: Map<number, T>, member: number, value: T): void {
  if (table.has(member)) throw new RoundFailure('out-of-order', `Member ${member} has answered already.`);
  table.set(member, value);
}

function requireMinimum({ terms }: Round, present: number): void {
  if (present < terms.minimumCohort) {
    throw new RoundFailure(
      'below-minimum',
      `${present} of at least ${terms.minimumCohort} members are left: the round ends without output.`,
    );
  }
}
