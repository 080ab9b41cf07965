export { canonicalise, digest } from './canonical.ts';
export { participantOf, readTrustAnchors, type Trust } from './certificate.ts';
export { loadIdentity, type Identity, type IdentityFiles } from './identity.ts';
export { verifySignature, type VerifiedSignature } from './signature.ts';
export { resetConnection, type HttpServer } from './http-server.ts';
export { callerOf, servePeers } from './peer-server.ts';
export { bearerAuth, serveOperators } from './operator-server.ts';
export { createPeerClient, type PeerAnswer, type PeerCall, type PeerClient, type PeerRequest } from './peer-client.ts';
