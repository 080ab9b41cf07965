import type { DataAddress, Transfer } from '../management/model.ts';

/**
 * What moves the data of a transfer. The control plane knows formats, not data: a data flow registers itself under
 * the formats it serves, and the control plane tells it what the protocol decided.
 *
 * A flow outside this process (a trainer) registers through the operator's API and watches its transfers there.
 */
export interface DataFlow {
  readonly formats: readonly string[];
  /**
   * Provider side, before a start (or a resumption) is sent.
   *
   * @returns the data address that the consumer gets (pull formats), or undefined (push formats)
   */
  start(transfer: Transfer): Promise<DataAddress | undefined>;
  /**
   * Provider side: the transfer is STARTED now, or still is when this program starts. Returns at once; what it sets off
   * may be under way already. Must not throw.
   */
  started?(transfer: Transfer): void;
  /** The transfer left STARTED: whatever runs for it stops at once. Must not throw. */
  stop(transfer: Transfer): void;
  /** Provider side: the transfer is over, and what was kept to go on with it is of no use any more. Must not throw. */
  ended?(transfer: Transfer): void;
}
