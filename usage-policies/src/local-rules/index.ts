/** Rules of the operator's own, beside the agreement: they can only restrict what it permits. */
export { cedarRules } from './cedar.ts';
export {
  decideWithLocalRules,
  restrict,
  type LocalDecision,
  type LocalReport,
  type LocalRules,
  type LocalVerdict,
  type PermittedUse,
} from './local-rules.ts';
export { opaRules, type OpaOptions } from './opa.ts';
