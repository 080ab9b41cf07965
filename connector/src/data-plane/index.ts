export { readArrowStream } from './consume.ts';
export { createPullDataFlow } from './pull-data-flow.ts';
