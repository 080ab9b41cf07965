export * from './columns.ts';
export * from './dataset.ts';
export * from './load.ts';
