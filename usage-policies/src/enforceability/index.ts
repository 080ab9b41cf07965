export { FOEDUS_NODES, FOEDUS_PROVIDER, NOTHING, type Capabilities, type NodeCapabilities } from './capabilities.ts';
export {
  ENFORCEMENTS,
  enforceability,
  type EnforceabilityReport,
  type Enforcement,
  type PartReport,
  type RuleEnforcement,
} from './enforceability.ts';
