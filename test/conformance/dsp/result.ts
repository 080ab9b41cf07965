/** What JUnit's console launcher tells about one case. */
export interface CaseResult {
  readonly id: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it failed: the first line of what was thrown. */
  readonly reason?: string;
}

const OUTCOMES = { SUCCESSFUL: 'passed', FAILED: 'failed', SKIPPED: 'skipped' } as const;
const CASE = /> ((?:MET|CAT|CN|CN_C|TP|TP_C):\d\d-\d\d)\b.* :: (SUCCESSFUL|FAILED|SKIPPED)$/;

/** Reads one line of the launcher's test feed. */
export function caseOf(line: string): CaseResult | undefined {
  const [, id, outcome] = CASE.exec(line) ?? [];
  return id === undefined ? undefined : { id, outcome: OUTCOMES[outcome as keyof typeof OUTCOMES] };
}

/**
 * Reads everything that the launcher printed.
 *
 * @returns one result for each case, and whether the launcher came to its end
 */
export function readResult(output: readonly string[]): { cases: CaseResult[]; finished: boolean } {
  const cases = output.flatMap((line, index) => {
    const found = caseOf(line);
    if (found?.outcome !== 'failed') return found ?? [];
    const reason = output
      .slice(index + 1)
      .find((next) => next.trim() !== '')
      ?.trim();
    return { ...found, ...(reason === undefined ? {} : { reason }) };
  });
  return { cases, finished: output.some((line) => /^\[\s*\d+ tests successful\s*\]$/.test(line)) };
}

/**
 * What speaks against a run: every enabled case has to have passed, once.
 *
 * @returns one line each; empty when there is nothing
 */
export function objections(
  { cases, finished }: { cases: readonly CaseResult[]; finished: boolean },
  enabled: readonly string[],
): string[] {
  const passed = cases.filter(({ outcome }) => outcome === 'passed').map(({ id }) => id);
  return [
    ...(finished ? [] : ['the kit did not come to its end']),
    ...cases.filter(({ outcome }) => outcome === 'failed').map(({ id, reason = 'no reason' }) => `${id}: ${reason}`),
    ...enabled.filter((id) => !cases.some((result) => result.id === id)).map((id) => `${id}: did not run`),
    ...enabled.filter((id) => cases.some((r) => r.id === id && r.outcome === 'skipped')).map((id) => `${id}: skipped`),
    ...passed.filter((id, index) => passed.indexOf(id) !== index).map((id) => `${id}: ran twice`),
    ...passed.filter((id) => !enabled.includes(id)).map((id) => `${id}: is a case that nobody here knows`),
  ];
}

/** A table of groups: how many cases passed, failed and were skipped by the kit itself. */
export function table(cases: readonly CaseResult[]): string {
  const groups = new Map<string, CaseResult[]>();
  for (const result of cases) {
    const group = result.id.slice(0, result.id.indexOf('-'));
    groups.set(group, [...(groups.get(group) ?? []), result]);
  }
  const rows = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([group, results]) => [group, ...counts(results)]);
  return [['cases', 'passed', 'failed', 'skipped'], ...rows, ['all', ...counts(cases)]]
    .map(([name, ...numbers]) => String(name).padEnd(10) + numbers.map((number) => String(number).padStart(9)).join(''))
    .join('\n');
}

function counts(results: readonly CaseResult[]): number[] {
  return (['passed', 'failed', 'skipped'] as const).map(
    (wanted) => results.filter(({ outcome }) => outcome === wanted).length,
  );
}
