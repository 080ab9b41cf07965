/** A policy, request or template that cannot be read. `path` says where, as a JSON path such as `$.permission[0].action`. */
export class PolicyError extends Error {
  override readonly name: string = 'PolicyError';
  readonly code: 'bad-policy' | 'too-large';
  readonly path: string;

  constructor(path: string, message: string, options: { code?: 'bad-policy' | 'too-large'; cause?: unknown } = {}) {
    super(`${path}: ${message}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code ?? 'bad-policy';
    this.path = path;
  }
}

/**
 * A value that this package cannot read: parsePolicy turns it into a PolicyError (our own terms) or into a problem
 * of the rule (ODRL's terms, which may be right for somebody else).
 */
export class Unreadable extends Error {
  override readonly name: string = 'Unreadable';
  /** Where in the value, as the end of a JSON path: `` or `.and[0].column`. */
  readonly at: string;

  constructor(message: string, at = '') {
    super(message);
    this.at = at;
  }
}

/** `.name` for plain names, `["a b"]` for all others. */
export function pathKey(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  return /^[@\w]{1,100}$/.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 200))}]`;
}
