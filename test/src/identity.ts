import { join } from 'node:path';
import { createAuthority, issueParticipant } from '@foedus/certs';
import { loadIdentity, type Identity } from '@foedus/connector/identity';

/** A participant of a data space of its own, for tests; its keys lie below `folder`. */
export async function issueIdentity(folder: string, participantId: string): Promise<Identity> {
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Test data space' });
  const directory = join(folder, 'participant');
  await issueParticipant(authority, { participantId, directory });
  return await loadIdentity(participantId, {
    tlsKey: join(directory, 'tls.key'),
    tlsCertificate: join(directory, 'tls.crt'),
    signingKey: join(directory, 'signing.key'),
    signingCertificate: join(directory, 'signing.crt'),
    trustAnchors: join(directory, 'ca.crt'),
  });
}
