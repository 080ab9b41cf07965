export { headOperations } from './head-routes.ts';
export { createLedgerHeads, type LedgerHeads } from './heads.ts';
export { createLedgerReader, type LedgerReader } from './ledger-reader.ts';
export { loadLocalRules } from './local-rules.ts';
export { usageOperations } from './routes.ts';
export { createUsageControl, type UsageControl } from './usage-control.ts';
