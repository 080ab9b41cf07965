export type * from './model.ts';
export { FOEDUS } from './model.ts';
