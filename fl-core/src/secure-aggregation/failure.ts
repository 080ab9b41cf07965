/** Why a party leaves a round. `code` is stable; the message says what was wrong and what follows from it. */
export type RoundFailureCode =
  | 'bad-message'
  | 'bad-signature'
  | 'other-round'
  | 'below-minimum'
  | 'below-threshold'
  | 'inconsistent-view'
  | 'out-of-order'
  | 'bad-share'
  | 'bad-input';

/**
 * The round is over for whoever throws this: a client must not answer anything more in it, a server must abandon it and
 * begin another, with new keys.
 */
export class RoundFailure extends Error {
  override readonly name = 'RoundFailure';
  readonly code: RoundFailureCode;
  /** Whose doing it is, by its index in the cohort, as far as that is known. */
  readonly culprit: number | null;

  constructor(code: RoundFailureCode, message: string, culprit: number | null = null) {
    super(message);
    this.code = code;
    this.culprit = culprit;
  }
}
