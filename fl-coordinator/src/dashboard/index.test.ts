import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dashboardRoutes } from './index.ts';

const app = dashboardRoutes();
const moduleNames = readdirSync(join(import.meta.dirname, 'page')).filter((name) => /^[a-z-]+\.ts$/.test(name));

/** All that a module imports, from its JavaScript. */
function imports(script: string): string[] {
  return [...script.matchAll(/^\s*(?:import|export)\s[^;]*?from\s+'([^']+)'/gm)].map((match) => match[1] ?? '');
}

describe('the dashboard', () => {
  it('allows the page nothing but its own files', async () => {
    const response = await app.request('/');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("style-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(policy).not.toMatch(/https?:|\*|data:/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('serves every file that the HTML names', async () => {
    const html = await (await app.request('/')).text();
    const paths = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(paths).toContain('/page/main.ts');
    for (const path of paths) {
      const response = await app.request(path);
      expect([path, response.status]).toEqual([path, 200]);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    }
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=/);
  });

  it('serves every module as JavaScript whose imports it serves too', async () => {
    expect(moduleNames.length).toBeGreaterThan(10);
    for (const name of moduleNames) {
      const response = await app.request(`/page/${name}`);
      expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
      const script = await response.text();
      expect(script).not.toMatch(/^\s*import type|^\s*(?:export )?interface /m);
      for (const path of imports(script)) {
        const served = await app.request(new URL(path, `http://localhost/page/${name}`).pathname);
        expect([name, path, served.status]).toEqual([name, path, 200]);
      }
    }
  });

  it('turns no string into markup, in any module', () => {
    for (const name of moduleNames) {
      const source = readFileSync(join(import.meta.dirname, 'page', name), 'utf8');
      expect([name, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(/.test(source)]).toEqual([
        name,
        false,
      ]);
    }
  });

  it('answers 304 to a browser that has the file', async () => {
    const etag = (await app.request('/page/main.ts')).headers.get('etag') ?? '';
    const response = await app.request('/page/main.ts', { headers: { 'if-none-match': etag } });
    expect(response.status).toBe(304);
    expect(await response.text()).toBe('');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it.each([
    '/page/',
    '/page/tsconfig.json',
    '/page/words.test.ts',
    '/page/uplot.d.ts',
    '/page/../index.ts',
    '/page/%2e%2e/index.ts',
    '/page/..%2findex.ts',
    '/index.ts',
  ])('does not serve %s', async (path) => {
    expect((await app.request(path)).status).toBe(404);
  });
});
