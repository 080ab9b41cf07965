/** ODRL's own operands (Vocabulary section 4.12), and those of the IDS code list that ODRL has no term for. */
import { IDS_OPERANDS } from '../ids-terms.ts';
import { TRAIN, USE } from '../terms.ts';
import { measured } from './amounts.ts';
import { named, purposeOperand } from './names.ts';
import type { Operand } from './operand.ts';
import { count, dateTime, delayPeriod, elapsedTime, event, meteredTime, timeInterval } from './times.ts';

const NAMES = [
  'absolutePosition absoluteSpatialPosition absoluteTemporalPosition relativePosition relativeSpatialPosition',
  'relativeTemporalPosition deliveryChannel fileFormat industry language media product recipient spatial',
  'spatialCoordinates systemDevice device system unitOfCount version virtualLocation',
]
  .join(' ')
  .split(' ');

/** What descriptions of parties and assets are refined by in the IDS usage-control classes. */
const DESCRIPTIONS = [
  'http://www.w3.org/2006/vcard/ns#hasGeo',
  'http://www.w3.org/2006/vcard/ns#hasRole',
  'http://www.w3.org/2004/02/skos/core#concept',
];

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
];
