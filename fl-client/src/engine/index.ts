export * from './engine.ts';
export * from './select.ts';
