/** ODRL's own operands (Vocabulary section 4.12), and those of the IDS code list that ODRL has no term for. */
import { IDS_OPERANDS } from '../ids-terms.ts';
import { TRAIN, USE } from '../terms.ts';
import { measured } from './amounts.ts';
import { named, purposeOperand } from './names.ts';
import type { Operand } from './operand.ts';
import { count, dateTime, delayPeriod, elapsedTime, event, meteredTime, timeInterval } from './times.ts';

const NAMES = [
  'absolutePosition absoluteSpatialPosition relativePosition relativeSpatialPosition deliveryChannel fileFormat',
  'industry language media product recipient spatial spatialCoordinates systemDevice device system unitOfCount',
  'virtualLocation',
]
  .join(' ')
  .split(' ');

/** What descriptions of parties and assets are refined by in the IDS usage-control classes. */
const DESCRIPTIONS = [
  'http://www.w3.org/2006/vcard/ns#hasGeo',
  'http://www.w3.org/2006/vcard/ns#hasRole',
  'http://www.w3.org/2004/02/skos/core#concept',
];

/** Names, and numbers where they are put in an order: version 2 or higher, from second 192 on. */
const ORDERED = 'version absoluteTemporalPosition relativeTemporalPosition'.split(' ');

function ordered(name: string): Operand {
  const names = named({ name });
  const numbers = measured({ name });
  const isOrder = (operator: string) => !names.operators.includes(operator);
  return {
    ...names,
    operators: [...new Set([...names.operators, ...numbers.operators])],
    read: (raw, operator, ...rest) => (isOrder(operator) ? numbers : names).read(raw, operator, ...rest),
  };
}

const AMOUNTS = 'absoluteSize relativeSize percentage resolution'.split(' ');

export const ODRL_OPERANDS: readonly (readonly [string, Operand])[] = [
  ['purpose', purposeOperand([USE, TRAIN])],
  ['dateTime', dateTime],
  ['count', count],
  ['elapsedTime', elapsedTime],
  ['meteredTime', meteredTime],
  ['delayPeriod', delayPeriod],
  ['timeInterval', timeInterval],
  ['event', event],
  ['payAmount', measured({ name: 'payAmount', from: 'compensate' })],
  ...AMOUNTS.map((name): [string, Operand] => [name, measured({ name })]),
  ...[...NAMES, ...IDS_OPERANDS, ...DESCRIPTIONS].map((name): [string, Operand] => [name, named({ name })]),
  ...ORDERED.map((name): [string, Operand] => [name, ordered(name)]),
];
