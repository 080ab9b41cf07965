export * from './random.ts';
export * from './round.ts';
export * from './trainer.ts';
