import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linkTo } from './link-header.ts';

describe('the Link header', () => {
  it.each([
    ['<https://a.example/x>; rel="next"', 'https://a.example/x'],
    ['<https://a.example/p>; rel="previous", </n?t=1>; rel=next', '/n?t=1'],
    ['<a>; title="x, y; rel=next"; REL="prev next"', 'a'],
    ['<a,b;c>;rel=Next', 'a,b;c'],
    ['nonsense, <a>; rel=next', 'a'],
    ['<a>; title="say \\"rel=next\\""; rel=next', 'a'],
    ['<a>; rel="nextpage"', undefined],
    ['<a> rel=next', undefined],
    ['', undefined],
    ['<', undefined],
  ])('%s leads to %s', (header, address) => {
    expect(linkTo(header, 'next')).toBe(address);
  });

  it('is found whatever stands before and behind it', () => {
    const other = fc.constantFrom('<o>; rel=previous', '<o>; title="a,b"', 'broken', '<>;;', '"', ' ');
    fc.assert(
      fc.property(fc.array(other), fc.array(other), (before, behind) => {
        const header = [...before, '<here>; rel="next"', ...behind].join(', ');
        expect(linkTo(header, 'next')).toBe('here');
      }),
    );
  });

  it('is read in time that grows with its length, whatever it is', () => {
    for (const unit of ['<', '<a>;', '<a>; a="', ';a=', '\\"', ' ', ',<a>']) {
      const started = performance.now();
      linkTo(unit.repeat(20_000), 'next');
      // Without backtracking a few milliseconds; with it minutes.
      expect(performance.now() - started).toBeLessThan(5_000);
    }
  });
});
