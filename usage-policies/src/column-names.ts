import { Unreadable } from './policy-error.ts';
import { shownValue } from './wording.ts';

/** A column's name as policies may write it: 1 to 200 characters, no control characters. */
export function readColumnName(raw: unknown, at = ''): string {
  if (typeof raw !== 'string' || raw === '' || raw.length > 200 || /\p{Cc}/u.test(raw) || raw === '__proto__') {
    throw new Unreadable(`${shownValue(raw)} is not the name of a column`, at);
  }
  return raw;
}
