import { join } from 'node:path';
import { createAuthority, issueParticipant, type Authority } from '@foedus/certs';
import { loadIdentity, type Identity } from '@foedus/connector/identity';

/** A participant of a data space, for tests; its keys lie in `directory`. */
export async function enrol(
  authority: Authority,
  participantId: string,
  directory: string,
  more: { now?: Date; validDays?: number } = {},
): Promise<Identity> {
  await issueParticipant(authority, { participantId, directory, ...more });
  const file = (name: string) => join(directory, name);
  return await loadIdentity(participantId, {
    tlsKey: file('tls.key'),
    tlsCertificate: file('tls.crt'),
    signingKey: file('signing.key'),
    signingCertificate: file('signing.crt'),
    trustAnchors: file('ca.crt'),
  });
}

/** The participants of a data space of their own, below `folder`. */
export async function issueIdentities(
  folder: string,
  participantIds: readonly string[],
): Promise<ReadonlyMap<string, Identity>> {
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Test data space' });
  const identities = new Map<string, Identity>();
  for (const [i, participantId] of participantIds.entries()) {
    identities.set(participantId, await enrol(authority, participantId, join(folder, `participant-${i}`)));
  }
  return identities;
}

/** The only participant of a data space. */
export async function issueIdentity(folder: string, participantId: string): Promise<Identity> {
  return (await issueIdentities(folder, [participantId])).get(participantId)!;
}
