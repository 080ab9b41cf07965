/**
 * The base of every error that Foedus throws on purpose.
 *
 * `code` is stable and may be matched on; `message` says in plain words what was wrong and what to do next.
 * HTTP edges map `code` to a status in one place each.
 */
export class FoedusError extends Error {
  override readonly name: string = 'FoedusError';
  readonly code: string;
  /** Facts for a program or a log: JSON values only, never a secret, never a row. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Codes that the HTTP edges share, and the status that each one is answered with. */
export const STATUS_BY_CODE = {
  'bad-request': 400,
  'bad-signature': 400,
  'illegal-transition': 400,
  'not-authenticated': 401,
  'not-permitted': 403,
  'budget-exhausted': 403,
  'not-found': 404,
  conflict: 409,
  gone: 410,
  'too-large': 413,
  'wrong-peer': 502,
  'refused-redirect': 502,
  unavailable: 503,
} as const satisfies Record<string, number>;

/** @returns the HTTP status for an error; 500 for whatever nobody threw on purpose. */
export function statusOf(error: unknown): number {
  if (!(error instanceof FoedusError)) return 500;
  return (STATUS_BY_CODE as Record<string, number>)[error.code] ?? 500;
}

/** The body of an error answer of every HTTP API but the Dataspace Protocol's, which has its own. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * @returns what to answer an error with. Of an error that nobody threw on purpose nothing is told: its message may
 *   hold anything, so log it instead.
 */
export function problemOf(error: unknown): {
  status: (typeof STATUS_BY_CODE)[keyof typeof STATUS_BY_CODE] | 500;
  body: Problem;
} {
  if (!(error instanceof FoedusError)) {
    return { status: 500, body: { code: 'internal', message: 'This node failed at the request; its log says why.' } };
  }
  const { code, message, details } = error;
  const status = (STATUS_BY_CODE as Partial<Record<string, (typeof STATUS_BY_CODE)[keyof typeof STATUS_BY_CODE]>>)[
    code
  ];
  return {
    status: status ?? 500,
    body: { code, message, ...(Object.keys(details).length === 0 ? {} : { details }) },
  };
}
