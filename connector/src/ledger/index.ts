export { loadLocalRules } from './local-rules.ts';
export { usageOperations } from './routes.ts';
export { createUsageControl, type UsageControl } from './usage-control.ts';
