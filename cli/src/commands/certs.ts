import { createAuthority, issueParticipant, openAuthority } from '@foedus/certs';
import { resolve } from 'node:path';
import { print } from '../terminal.ts';

/** Makes the certificate authority of a data space. */
export async function initAuthority(options: { dir: string; name: string; days?: number }): Promise<void> {
  const directory = resolve(options.dir);
  await createAuthority({ directory, name: options.name, ...(options.days && { validDays: options.days }) });
  print(`Certificate authority "${options.name}" made in ${directory}`);
  print('Keep ca.key to yourself; ca.crt is the trust anchor of every participant.');
  print(`Next: foedus certs issue did:web:YOUR-NAME.example --ca ${options.dir} --dir FOLDER`);
}

/** Issues a participant's certificates. */
export async function issue(
  participantId: string,
  options: { ca: string; dir: string; host?: string[]; days?: number },
): Promise<void> {
  const directory = resolve(options.dir);
  await issueParticipant(await openAuthority(resolve(options.ca)), {
    participantId,
    directory,
    ...(options.host && { hosts: options.host }),
    ...(options.days && { validDays: options.days }),
  });
  print(`Certificates of ${participantId} issued into ${directory}:`);
  print('  tls.crt, tls.key          connections to others');
  print('  signing.crt, signing.key  agreements and enrolments');
  print('  ca.crt                    whom to trust');
}
