export * from './session/plan.ts';
export * from './session/messages.ts';
