export type { ActionDefinition } from './actions.ts';
export type * from './model.ts';
export { FOEDUS, isLogical } from './model.ts';
export { compareOffers, type Ask, type OfferComparison, type RuleComparison } from './compare/compare-offers.ts';
export { conflictsBetween, type Conflict } from './compare/conflicts.ts';
export { compile, limitsOf, problemsOf, referencesOf, type CompiledPolicy } from './compile.ts';
export { decide } from './decide.ts';
export { policyDigest } from './digest.ts';
export {
  ENFORCEMENTS,
  FOEDUS_NODES,
  FOEDUS_PROVIDER,
  NOTHING,
  enforceability,
  type Capabilities,
  type EnforceabilityReport,
  type Enforcement,
  type NodeCapabilities,
  type PartReport,
  type RuleEnforcement,
} from './enforceability/index.ts';
export { explain } from './explain/explain.ts';
export type { Language } from './explain/languages.ts';
export type { PolicyLimits } from './json-limits.ts';
export {
  rowsOffer,
  trainingOffer,
  type OfferJson,
  type RowsOfferOptions,
  type TrainingOfferOptions,
} from './offers.ts';
export type { OperandDefinition } from './operands/index.ts';
export { operandsOf } from './operands-of.ts';
export { EPSILON_TOLERANCE } from './operands/training.ts';
export type { DutyMode, PolicyOptions, References } from './options.ts';
export { INFORM, LOG, owedDuties, type DutyClock, type DutyTimes, type OwedDuty } from './owed.ts';
export { parsePolicy } from './parse.ts';
export { parsePolicyText } from './parse-text.ts';
export { PolicyError } from './policy-error.ts';
export { isKindOf, kindsOf } from './purposes.ts';
export { normalPolicy, normalRules, sameRules } from './same-rules.ts';
export { instantiate, type PolicyTemplate } from './templates.ts';
export { ACCESS, PROFILE, TRAIN, USE } from './terms.ts';
export { trainingLimits, type PrivacyBudget, type TrainingLimits } from './training-limits.ts';
export type { Profile } from './vocabulary.ts';
