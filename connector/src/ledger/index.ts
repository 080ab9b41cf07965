export { usageRoutes } from './routes.ts';
export {
  createUsageControl,
  type AgreementReader,
  type GrantedUse,
  type UsageControl,
  type UsageControlOptions,
  type UsageEvent,
} from './usage-control.ts';
