export { createAuthority, openAuthority, type Authority, type AuthorityOptions } from './authority.ts';
export { issueParticipant, type ParticipantCertificates, type ParticipantOptions } from './participant.ts';
export { CertificateError } from './error.ts';
