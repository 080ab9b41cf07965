export * from './session/plan.ts';
export * from './session/messages.ts';
export * from './session/hash.ts';
export * from './update/codec.ts';
export * from './metrics/area-under-roc.ts';
export * from './metrics/log-loss.ts';
