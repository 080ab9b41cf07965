import { createCipheriv, randomBytes } from 'node:crypto';

/** Of this process, in ms: others may be at work on this machine. */
export function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** A clock that stands still while others than those who are measured are at work. */
export function createClock() {
  let spent = 0;
  return {
    spent: () => spent,
    measure: async <T>(run: () => T | Promise<T>): Promise<T> => {
      const start = cpu();
      const result = await run();
      spent += cpu() - start;
      return result;
    },
  };
}

export const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[all.length >> 1] ?? NaN;

/** @returns ms of CPU that AES alone takes for so many masks of so many elements */
export function keyStream(masks: number, length: number): number {
  const zeros = new Uint8Array(65_536);
  const start = cpu();
  for (let mask = 0; mask < masks; mask++) {
    const cipher = createCipheriv('aes-128-ctr', randomBytes(16), new Uint8Array(16));
    for (let left = length * 4; left > 0; left -= zeros.length) {
      // Freed at once, as masks are: otherwise the collector would be measured.
      cipher.update(zeros.subarray(0, left)).buffer.transfer(0);
    }
  }
  return cpu() - start;
}

/** Prints what is under way to standard error, which leaves the tables whole. */
export const progress = (text: string): void =>
  void process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`);

/** Columns as wide as they must be, numbers to the right. */
export function printTable(title: string, columns: readonly string[], lines: readonly (readonly string[])[]): void {
  const widths = columns.map((name, i) => Math.max(name.length, ...lines.map((line) => line[i]!.length)));
  const print = (cells: readonly string[]): void =>
    console.log(cells.map((cell, i) => cell.padStart(widths[i]!)).join('  '));
  console.log(`\n${title}\n`);
  print(columns);
  for (const line of lines) print(line);
}
