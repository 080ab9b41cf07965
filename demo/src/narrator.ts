import { styleText } from 'node:util';

/** Tells a person at the terminal what happens. Lines only; a running line is overwritten only on a real terminal. */
export interface Narrator {
  chapter(title: string): void;
  /** A finished fact. */
  say(line: string): void;
  /** Something refused, as it must be. */
  refused(line: string): void;
  /** What is going on right now; replaced by the next. Off a terminal at most one line every two seconds. */
  progress(line: string): void;
  table(header: readonly string[], rows: readonly (readonly string[])[]): void;
}

export function createNarrator(out: NodeJS.WriteStream = process.stdout): Narrator {
  const started = performance.now();
  let running = false;
  let lastProgress = 0;
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    styleText(style, text, { stream: out, validateStream: true });
  const clock = (): string => paint('dim', `${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s `);
  const line = (text: string): void => {
    if (running) out.write('\r\u001B[2K');
    running = false;
    out.write(`${text}\n`);
  };
  return {
    chapter: (title) => line(`\n${paint('bold', title)}`),
    say: (text) => line(`${clock()} ${text}`),
    refused: (text) => line(`${clock()} ${paint('yellow', 'refused')}  ${text}`),
    progress(text) {
      if (out.isTTY) {
        out.write(`\r\u001B[2K${clock()} ${text}`.slice(0, out.columns + 20));
        running = true;
      } else if (performance.now() - lastProgress > 2_000) {
        lastProgress = performance.now();
        line(`${clock()} ${text}`);
      }
    },
    table: (header, rows) => line(formatTable(header, rows)),
  };
}

/** A table with aligned columns: cells that look like numbers to the right, others to the left. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const numeric = header.map((_, column) =>
    rows.every((row) => /^[-–]?[\d.,]*( [a-zA-Zε%]+)?$/.test(row[column] ?? '')),
  );
  const cells = (row: readonly string[]): string =>
    row
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('   ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('───');
  return [cells(header), rule, ...rows.map(cells)].map((text) => `  ${text}`).join('\n');
}
