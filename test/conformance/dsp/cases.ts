/**
 * The kit's cases, and what the participant of the connector under test does in each of them: the kit's manual asks
 * for a participant that behaves like this, because what a participant wants is not the protocol's to say.
 */

/** What the participant does, once its process is in a state. */
export type Deed = 'offer' | 'agree' | 'accept' | 'counter' | 'verify' | 'finalize' | TransferDeed;
export type TransferDeed = 'start' | 'suspend' | 'complete' | 'terminate';

/** For each state: what is done the first, second, … time the process is in it. Nothing where there is no entry. */
export type Script = Readonly<Record<string, readonly Deed[]>>;

/** Cases by the kit's number; the kit runs the connector as provider (`CN`, `TP`) and as consumer (`CN_C`, `TP_C`). */
const scripts: Record<'CN' | 'CN_C' | 'TP' | 'TP_C', Record<string, Script>> = {
  CN: {
    '01-01': { REQUESTED: ['offer'] },
    '01-02': { REQUESTED: ['offer', 'terminate'] },
    '01-03': { REQUESTED: ['offer'], ACCEPTED: ['agree'], VERIFIED: ['finalize'] },
    '01-04': { REQUESTED: ['agree'], VERIFIED: ['finalize'] },
    '02-01': { REQUESTED: ['terminate'] },
    '02-02': {},
    '02-03': { REQUESTED: ['agree'] },
    '02-04': { REQUESTED: ['offer'] },
    '02-05': { REQUESTED: ['offer'], OFFERED: ['terminate'] },
    '02-06': { REQUESTED: ['offer'], ACCEPTED: ['terminate'] },
    '02-07': { REQUESTED: ['agree'], VERIFIED: ['terminate'] },
    '03-01': { REQUESTED: ['agree'], VERIFIED: ['finalize'] },
    '03-02': { REQUESTED: ['offer'] },
    '03-03': { REQUESTED: ['offer'] },
    '03-04': { REQUESTED: ['offer'] },
  },
  CN_C: {
    '01-01': { OFFERED: ['accept'], AGREED: ['verify'] },
    '01-02': { OFFERED: ['counter'] },
    '01-03': { OFFERED: ['terminate'] },
    '01-04': { AGREED: ['verify'] },
    '02-01': {},
    '02-02': { REQUESTED: ['terminate'] },
    '02-03': { AGREED: ['terminate'] },
    '02-04': {},
    '02-05': { OFFERED: ['accept'] },
    '02-06': { AGREED: ['verify'] },
    '03-01': {},
    '03-02': {},
    '03-03': {},
    '03-04': { OFFERED: ['accept'] },
    '03-05': { OFFERED: ['accept'] },
    '03-06': { OFFERED: ['accept'] },
  },
  TP: {
    '01-01': { REQUESTED: ['start'], STARTED: ['terminate'] },
    '01-02': { REQUESTED: ['start'], STARTED: ['complete'] },
    '01-03': { REQUESTED: ['start'], STARTED: ['suspend'], SUSPENDED: ['terminate'] },
    '01-04': { REQUESTED: ['start'], STARTED: ['suspend', 'complete'], SUSPENDED: ['start'] },
    '01-05': { REQUESTED: ['terminate'] },
    '02-01': { REQUESTED: ['start'] },
    '02-02': { REQUESTED: ['start'] },
    '02-03': { REQUESTED: ['start'] },
    '02-05': {},
    '03-01': {},
    '03-02': {},
    '03-03': { REQUESTED: ['start'] },
    '03-04': { REQUESTED: ['start'] },
    '03-05': { REQUESTED: ['start'] },
    '03-06': { REQUESTED: ['start'] },
  },
  TP_C: {
    '01-01': {},
    '01-02': {},
    '01-03': {},
    '01-04': {},
    '01-05': {},
    '02-01': { STARTED: ['terminate'] },
    '02-02': { STARTED: ['complete'] },
    '02-03': { STARTED: ['suspend'], SUSPENDED: ['terminate'] },
    '02-05': { REQUESTED: ['terminate'] },
    '03-01': {},
    '03-02': {},
    '03-03': {},
    '03-04': {},
    '03-05': {},
    '03-06': {},
  },
};

export type Group = keyof typeof scripts;

export interface Case {
  /** The kit's name for it, for instance `CN_C:01-02`. */
  readonly id: string;
  readonly group: Group;
  /** The data set that stands for the case, for instance `ACNC0102`. The kit counts on `ACN0102`. */
  readonly datasetId: string;
  readonly script: Script;
}

const PREFIX: Record<Group, string> = { CN: 'ACN', CN_C: 'ACNC', TP: 'ATP', TP_C: 'ATPC' };

/** The cases that need a participant. */
export const cases: readonly Case[] = Object.entries(scripts).flatMap(([name, byNumber]) =>
  Object.entries(byNumber).map(([number, script]): Case => {
    const group = name as Group;
    return { id: `${group}:${number}`, group, datasetId: PREFIX[group] + number.replace('-', ''), script };
  }),
);

/** Data sets of the catalog cases; the one of CAT:01-03 is asked for and must not be there. */
export const catalogCases = { 'CAT:01-01': 'CAT0101', 'CAT:01-02': 'CAT0102', 'CAT:01-03': 'CAT0103' };

/** Every case that the kit has enabled: 65. */
export const enabledCases: readonly string[] = [
  'MET:01-01',
  ...Object.keys(catalogCases),
  ...cases.map(({ id }) => id),
];

/** The format that keeps a provider's transfer in REQUESTED, because nothing moves such data. */
export const UNMOVED = 'Unmoved-PULL';
export const formatOf = ({ script }: Case): string =>
  script['REQUESTED']?.includes('start') ? 'HttpData-PULL' : UNMOVED;

/** An offer's id is what tells the kit, as provider, which data set is meant. */
export const kitOfferId = (datasetId: string): string => `offer${datasetId}`;
/** The contract definition that publishes every data set of the connector's, and so the ids of its offers. */
export const DEFINITION = 'conformance';
export const ownOfferId = (datasetId: string): string => `${DEFINITION}:${datasetId}`;
