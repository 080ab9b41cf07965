import { FOEDUS } from '../model.ts';
import { INFORM, LOG } from '../owed.ts';
import { ACCESS, TRAIN, USE } from '../terms.ts';

/** What one node carries out by itself. Names are normalised: ODRL's terms short, all others as IRI. */
export interface NodeCapabilities {
  /** Actions that cannot happen without this node letting them. */
  readonly actions: readonly string[];
  /** Operands that this node establishes itself, or cuts the data by. */
  readonly operands: readonly string[];
  /** Operands that this node takes from what the other side states, and keeps on record. */
  readonly statements: readonly string[];
  /** Duties that this node performs, or whose performance it establishes before it lets a use happen. */
  readonly duties: readonly string[];
  /** Masks that this node can put on columns, by their method. */
  readonly masks: readonly string[];
}

/** What the two nodes of an agreement can do. */
export interface Capabilities {
  readonly provider: NodeCapabilities;
  readonly consumer: NodeCapabilities;
}

const ours = (names: string): string[] => names.split(' ').map((name) => FOEDUS + name);

/**
 * A Foedus node that provides data. It lets rows and updates out by decisions alone, with its own clock and ledger,
 * and cuts rows inside the scan. It logs uses and tells of them itself, or lets none happen. Purposes and cohorts are
 * what the other side states.
 */
export const FOEDUS_PROVIDER: NodeCapabilities = {
  actions: [USE, TRAIN, ACCESS],
  operands: [
    'dateTime',
    'count',
    'elapsedTime',
    'timeInterval',
    'https://w3id.org/idsa/code/CONNECTOR',
    ...ours('columns rowFilter masks minimumGroupSize aggregates rowLimit byteLimit sampling rows bytes'),
    ...ours('privacyBudget roundPrivacyBudget rounds metrics planHash modelHash secureAggregation privacyUnit'),
  ],
  statements: ['purpose', ...ours('minimumCohort')],
  duties: [INFORM, LOG],
  masks: ['null', 'constant', 'hash', 'truncate', 'generalise'],
};

/** A node of which nothing is known, and a Foedus node that has received rows: they are out of its control. */
export const NOTHING: NodeCapabilities = { actions: [], operands: [], statements: [], duties: [], masks: [] };

/** Two Foedus nodes of this version. */
export const FOEDUS_NODES: Capabilities = { provider: FOEDUS_PROVIDER, consumer: NOTHING };
