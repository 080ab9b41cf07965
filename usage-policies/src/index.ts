export type * from './model.ts';
export { FOEDUS } from './model.ts';
export { compile, limitsOf, problemsOf, type CompiledPolicy } from './compile.ts';
export { decide } from './decide.ts';
export { policyDigest } from './digest.ts';
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
export { EPSILON_TOLERANCE } from './operands/training.ts';
export { parsePolicy } from './parse.ts';
export { PolicyError } from './policy-error.ts';
export { normalRules, sameRules } from './same-rules.ts';
export { instantiate, type PolicyTemplate } from './templates.ts';
export { ACCESS, PROFILE, TRAIN, USE } from './terms.ts';
