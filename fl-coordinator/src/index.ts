export { startCoordinator, type Coordinator } from './coordinator.ts';
export { coordinatorConfigSchema, type CoordinatorConfig } from './config.ts';
export type { ParticipantView, RoundPhase, RoundView, SessionState, SessionView } from './session/view.ts';
export type { SessionRequest } from './session/sessions.ts';
