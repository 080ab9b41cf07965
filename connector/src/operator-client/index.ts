export { createOperatorClient, type OperatorClient, type OperatorClientOptions } from './client.ts';
export type * from '../management/model.ts';
