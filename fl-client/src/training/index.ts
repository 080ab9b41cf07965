export { type Dataset, emptyBatch, fillBatch } from '../data/dataset.ts';
export * from './random.ts';
export * from './round.ts';
export * from './trainer.ts';
