/** What people read: tables, progress, errors. Results go to stdout, everything else to stderr. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** @returns `text` in a style where stdout is a terminal that shows it */
export const styled = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });

/** Characters that would move the cursor or hide text: data from others must not write to the terminal. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** @returns text from outside as one harmless line */
export const clean = (text: string): string => text.replace(CONTROL, ' ');

/** Prints one line of a result. */
export function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** Prints rows below headings, columns aligned; numbers to the right. Says `nothing` when there are no rows. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[], nothing: string): void {
  if (rows.length === 0) {
    print(nothing);
    return;
  }
  const cells = rows.map((row) => row.map(clean));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const numeric = headings.map((_, column) => cells.every((row) => /^-?[\d.,]+$/.test(row[column] ?? '')));
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  print(styled('bold', format(headings)));
  for (const row of cells) print(format(row));
}

/** A line on stderr that is overwritten by the next one; where stderr is no terminal, nothing. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[2K${clean(text).slice(0, process.stderr.columns - 1)}`);
}

/** Ends the line of `progress`. */
export function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[2K');
}

/** @returns e.g. `12.3 MB`, in powers of 1000 */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]!}`;
}

/** @returns e.g. `2026-11-21 18:01`, in the local time zone */
export function time(iso: string): string {
  const date = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** Errors that are thrown on purpose: their message is meant for people. */
const INTENDED = new Set(['FoedusError', 'CertificateError', 'PolicyError']);

/** @returns what to tell a person about an error; with `verbose` where it came from as well */
export function describeError(error: unknown, verbose: boolean): string {
  if (!(error instanceof Error)) return `foedus: ${String(error)}`;
  // The message may quote what another node answered.
  const lines = [`foedus: ${error.message.split('\n').map(clean).join('\n')}`];
  if (!INTENDED.has(error.name) && !verbose) lines.push('(--verbose shows where this came from)');
  if (verbose) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      lines.push(cause === error ? (cause.stack ?? '') : `caused by ${cause.stack ?? cause.message}`);
    }
  }
  return lines.join('\n');
}
