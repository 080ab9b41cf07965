import { expect, it } from 'vitest';
import { enabledCases } from './cases.ts';
import { objections, readResult, table } from './result.ts';

const feed = (id: string, outcome: string): string =>
  `JUnit Jupiter > TP_03: Transfer request scenarios > ${id}: Verify transfer request, started > completed :: ${outcome}`;
const end = ['Test run finished after 57760 ms', '[        65 tests successful      ]'];

it('reads which cases passed, failed with what reason, and were skipped by the kit itself', () => {
  const { cases, finished } = readResult([
    feed('TP:03-01', 'STARTED'),
    feed('TP:03-01', 'SUCCESSFUL'),
    feed('TP:03-02', 'STARTED'),
    feed('TP:03-02', 'FAILED'),
    '\tjava.lang.AssertionError: Expected to throw an error',
    '\t\tat org.eclipse.dataspacetck.dsp',
    feed('TP_C:02-04', 'SKIPPED'),
    ...end,
  ]);
  expect(finished).toBe(true);
  expect(cases).toEqual([
    { id: 'TP:03-01', outcome: 'passed' },
    { id: 'TP:03-02', outcome: 'failed', reason: 'java.lang.AssertionError: Expected to throw an error' },
    { id: 'TP_C:02-04', outcome: 'skipped' },
  ]);
  expect(
    table(cases)
      .split('\n')
      .map((row) => row.split(/\s+/)),
  ).toEqual([
    ['cases', 'passed', 'failed', 'skipped'],
    ['TP:03', '1', '1', '0'],
    ['TP_C:02', '0', '0', '1'],
    ['all', '1', '1', '1'],
  ]);
});

it('is content with nothing but all of the 65 enabled cases in a run that came to its end', () => {
  expect(enabledCases.length).toBe(65);
  const all = enabledCases.map((id) => feed(id, 'SUCCESSFUL'));
  const against = (output: string[]) => objections(readResult(output), enabledCases);
  expect(against([...all, ...end])).toEqual([]);
  expect(against(all)).toEqual(['the kit did not come to its end']);
  expect(against([...all.slice(1), ...end])).toEqual(['MET:01-01: did not run']);
  expect(against([...all.slice(1), feed('MET:01-01', 'SKIPPED'), ...end])).toEqual(['MET:01-01: skipped']);
  expect(against([...all.slice(1), feed('MET:01-01', 'FAILED'), 'x', ...end])).toEqual(['MET:01-01: x']);
  expect(against([...all, feed('CN:09-01', 'SUCCESSFUL'), ...end])).toHaveLength(1);
  expect(against([...all, all[0]!, ...end])).toEqual(['MET:01-01: ran twice']);
});
