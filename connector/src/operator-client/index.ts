export {
  createOperatorClient,
  type ListPage,
  type ListQuery,
  type OperatorClient,
  type OperatorClientOptions,
} from './client.ts';
export { HEAD_HEADER, readHeadHeader, writeHeadHeader } from '../ledger/head-header.ts';
export { continuesHead, signedHeadSchema, type LedgerHead, type SignedHead } from '../ledger/head.ts';
export { verifyHead } from '../ledger/verify-head.ts';
export type * from '../management/model.ts';
export type { AssetProfile, AssetSchema } from '../profile/model.ts';
export { authorizationHeaders } from '../protocol/data-address.ts';
