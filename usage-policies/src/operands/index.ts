import { FOEDUS } from '../model.ts';
import { measured } from './amounts.ts';
import { columns, masks, rowFilter } from './cut.ts';
import { aggregates, byteLimit, minimumGroupSize, rowLimit, sampling } from './disclosure.ts';
import { named } from './names.ts';
import { ODRL_OPERANDS } from './odrl.ts';
import type { Operand } from './operand.ts';
import { modelHash, privacyUnit, roundPrivacyBudget, secureAggregation } from './session.ts';
import { metrics, minimumCohort, planHash, privacyBudget, rounds } from './training.ts';
import { bytes, rows } from './volume.ts';

/** Every operand that this package decides on, by its normalised name. */
export const OPERANDS: ReadonlyMap<string, Operand> = new Map([
  ...ODRL_OPERANDS,
  [`${FOEDUS}columns`, columns],
  [`${FOEDUS}rowFilter`, rowFilter],
  [`${FOEDUS}masks`, masks],
  [`${FOEDUS}privacyBudget`, privacyBudget],
  [`${FOEDUS}rounds`, rounds],
  [`${FOEDUS}minimumCohort`, minimumCohort],
  [`${FOEDUS}metrics`, metrics],
  [`${FOEDUS}planHash`, planHash],
  [`${FOEDUS}minimumGroupSize`, minimumGroupSize],
  [`${FOEDUS}aggregates`, aggregates],
  [`${FOEDUS}rowLimit`, rowLimit],
  [`${FOEDUS}byteLimit`, byteLimit],
  [`${FOEDUS}sampling`, sampling],
  [`${FOEDUS}rows`, rows],
  [`${FOEDUS}bytes`, bytes],
  [`${FOEDUS}roundPrivacyBudget`, roundPrivacyBudget],
  [`${FOEDUS}modelHash`, modelHash],
  [`${FOEDUS}secureAggregation`, secureAggregation],
  [`${FOEDUS}privacyUnit`, privacyUnit],
]);

/** What the values of an operand are that a profile adds: names and IRIs, or numbers. */
export type OperandDefinition = 'names' | 'numbers';

/** An operand of a profile: its value comes with the request (`values`), nothing else is known of it. */
export function profileOperand(name: string, definition: OperandDefinition): Operand {
  return definition === 'names' ? named({ name }) : measured({ name });
}
