export {
  createOperatorClient,
  type ListPage,
  type ListQuery,
  type OperatorClient,
  type OperatorClientOptions,
} from './client.ts';
export type * from '../management/model.ts';
export { authorizationHeaders } from '../protocol/data-address.ts';
