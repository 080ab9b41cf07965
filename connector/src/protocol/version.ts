import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import type { PeerClient } from '../identity/index.ts';
import { readJson } from './json-body.ts';
import { VERSION, VERSION_PATH } from './terms.ts';

export const WELL_KNOWN = '/.well-known/dspace-version';

/** The document at `/.well-known/dspace-version` (DSP 2025-1, common/protocol-version-schema.json). */
export const versionDocument = {
  protocolVersions: [{ version: VERSION, path: VERSION_PATH, binding: 'HTTPS' }],
};

const documentSchema = z.object({
  protocolVersions: z
    .array(z.object({ version: z.string(), path: z.string().max(2048), binding: z.string() }))
    .max(100),
});

/**
 * Finds where a peer serves DSP 2025-1.
 *
 * @param root the peer's address, for instance `https://pvd.example:7001`
 * @returns the base of all protocol paths, without a slash at the end; always below the same origin as `root`
 * @throws FoedusError `unavailable`, or `bad-request` when it speaks no 2025-1
 */
export async function discover(client: PeerClient, root: string, signal?: AbortSignal): Promise<string> {
  const trimmed = root.replace(/\/+$/, '');
  const response = await client.fetch(trimmed + WELL_KNOWN, { signal: signal ?? null });
  if (!response.ok) {
    await response.body?.cancel();
    throw new FoedusError('unavailable', `${root} answered ${response.status} to the question for its versions.`);
  }
  const parsed = documentSchema.safeParse(await readJson(response));
  const found = parsed.data?.protocolVersions.find(
    ({ version, binding }) => version === VERSION && binding === 'HTTPS',
  );
  if (found === undefined) {
    throw new FoedusError('bad-request', `${root} does not speak the Dataspace Protocol ${VERSION} over HTTPS.`);
  }
  const base = peerAddress(trimmed + found.path);
  if (new URL(base).origin !== new URL(root).origin) {
    throw new FoedusError('bad-request', `${root} names a path outside its own address: ${found.path.slice(0, 200)}`);
  }
  return base;
}

/**
 * Checks an address that a peer gave us, before anything is sent there. What answers there must still prove by its
 * certificate that it is the counterparty.
 *
 * @returns it without a slash at the end
 * @throws FoedusError `bad-request`
 */
export function peerAddress(address: string): string {
  const url = URL.parse(address);
  if (
    url?.protocol !== 'https:' ||
    url.username !== '' ||
    url.password !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new FoedusError(
      'bad-request',
      `"${address.slice(0, 200)}" cannot be called back: it must be an https address without credentials, query and fragment.`,
      { details: { reasons: ['$.callbackAddress: must be an https address without credentials, query and fragment'] } },
    );
  }
  return url.href.replace(/\/+$/, '');
}
