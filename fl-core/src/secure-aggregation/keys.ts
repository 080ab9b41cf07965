/** Key agreement and the sealing of shares: X25519 and ChaCha20-Poly1305 of node:crypto, HKDF-SHA-256 (RFC 5869). */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { RoundFailure } from './failure.ts';
import { MASK_KEY_BYTES } from './mask.ts';

/** RFC 8410: what comes before the 32 bytes of a key in PKCS #8 and SubjectPublicKeyInfo. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const TAG_BYTES = 16;

export const KEY_BYTES = 32;

/** @param secret any 32 bytes */
export function privateKeyOf(secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: 'der', type: 'pkcs8' });
}

/** @returns the 32 bytes of the public key, hex */
export function publicKeyOf(secret: Uint8Array): string {
  const der = createPublicKey(privateKeyOf(secret)).export({ format: 'der', type: 'spki' });
  return der.subarray(SPKI.length).toString('hex');
}

/**
 * For keys that are agreed with many times: reading one costs about as much as an agreement.
 *
 * @param publicKey 32 bytes, hex
 * @throws RoundFailure bad-message when they are no key
 */
export function readPublicKey(publicKey: string): KeyObject {
  try {
    return createPublicKey({
      key: Buffer.concat([SPKI, Buffer.from(publicKey, 'hex')]),
      format: 'der',
      type: 'spki',
    });
  } catch (cause) {
    throw notAKey(cause);
  }
}

const notAKey = (cause: unknown): RoundFailure =>
  new RoundFailure('bad-message', `A public key is not one of X25519: ${String(cause)}. Leave the round.`);

/**
 * @param publicKey 32 bytes, hex, or what readPublicKey made of them
 * @param purpose what the key is for; other purposes give independent keys
 * @returns `length` bytes that only the holders of the two secrets know
 * @throws RoundFailure bad-message when the public key is of small order (the agreement would be the same for everybody)
 */
export const agree = (secret: KeyObject, publicKey: string | KeyObject, purpose: string, length: number): Buffer =>
  expand(sharedSecret(secret, publicKey), purpose, length);

function sharedSecret(secret: KeyObject, publicKey: string | KeyObject): Buffer {
  try {
    const key = typeof publicKey === 'string' ? readPublicKey(publicKey) : publicKey;
    return diffieHellman({ privateKey: secret, publicKey: key });
  } catch (cause) {
    throw cause instanceof RoundFailure ? cause : notAKey(cause);
  }
}

/** The keys of one agreement that two members seal for each other with: one for each direction. */
export function sealingKeys(
  secret: KeyObject,
  publicKey: string,
  view: string,
  own: number,
  other: number,
): { readonly seals: Buffer; readonly opens: Buffer } {
  const shared = sharedSecret(secret, publicKey);
  return {
    seals: expand(shared, sealingOf(view, own, other), KEY_BYTES),
    opens: expand(shared, sealingOf(view, other, own), KEY_BYTES),
  };
}

/** What is sealed, and what the key for it is derived for. */
export const sealingOf = (view: string, from: number, to: number): string => `foedus share ${view} ${from} ${to}`;

const throwaway = createPrivateKey({
  key: Buffer.concat([PKCS8, Buffer.alloc(KEY_BYTES, 1)]),
  format: 'der',
  type: 'pkcs8',
});

/** @throws RoundFailure bad-message when nobody could agree on anything with this public key, hex */
export const requireUsable = (publicKey: string): void => void agree(throwaway, publicKey, 'trial', KEY_BYTES);

/** HKDF without salt. */
export function expand(secret: Uint8Array, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, new Uint8Array(0), purpose, length));
}

/** @param key 32 bytes, used for this one message only */
export function seal(key: Uint8Array, plain: Uint8Array, about: string): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, new Uint8Array(12), { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(about), { plaintextLength: plain.length });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @returns undefined when it was not sealed with this key about this */
export function open(key: Uint8Array, sealed: Uint8Array, about: string): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const length = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('chacha20-poly1305', key, new Uint8Array(12), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(length));
  decipher.setAAD(Buffer.from(about), { plaintextLength: length });
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, length)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** The key of a member's own mask. The roster's hash is in it: another roster, another mask. */
export const selfMaskKey = (secret: Uint8Array, view: string): Buffer =>
  expand(secret, `foedus self mask ${view}`, MASK_KEY_BYTES);

/**
 * What a member says of its self-mask when it advertises its keys, so that a wrong one is noticed when it is put together
 * again. A hash of 32 random bytes tells nothing about them; the round and the member are in it, so that nobody can
 * repeat another's.
 *
 * @returns SHA-256, hex
 */
export const selfMaskCommitment = (secret: Uint8Array, termsHash: string, participant: string): string =>
  hash('sha256', Buffer.concat([Buffer.from(`foedus self mask of ${participant} in ${termsHash} `), secret]), 'hex');

/** The key of the mask between two members: the same from either side. */
export const pairMaskKey = (own: KeyObject, other: string | KeyObject, view: string, a: number, b: number): Buffer =>
  agree(own, other, `foedus pair mask ${view} ${Math.min(a, b)} ${Math.max(a, b)}`, MASK_KEY_BYTES);
