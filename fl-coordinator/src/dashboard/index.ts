/**
 * The coordinator's web page: one HTML file, its modules, its styles and the chart library, all from this process.
 * The page holds no data; it fetches what it shows from the operator's API with the operator's cookie.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { Hono } from 'hono';

const directory = import.meta.dirname;

/**
 * Nothing inline, nothing from elsewhere, no strings turned into markup or code (Trusted Types), no framing.
 * The chart library positions elements through the CSSOM, which `style-src 'self'` allows.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const headers = {
  'content-security-policy': contentSecurityPolicy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  // Always asked for again, answered 304 while the coordinator is the same version.
  'cache-control': 'no-cache',
} as const;

interface Asset {
  readonly type: string;
  readonly body: string;
  readonly etag: string;
}

function asset(type: string, body: string): Asset {
  return { type, body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
}

/** Everything the page is made of, by path. Only what is listed here can be asked for. */
function readAssets(): ReadonlyMap<string, Asset> {
  const script = 'text/javascript; charset=utf-8';
  const style = 'text/css; charset=utf-8';
  const text = (path: string): string => readFileSync(path, 'utf8');
  const chartLibrary = (file: string): string => text(createRequire(import.meta.url).resolve(`uplot/dist/${file}`));

  const assets = new Map<string, Asset>([
    ['/', asset('text/html; charset=utf-8', text(join(directory, 'index.html')))],
    ['/page/icon.svg', asset('image/svg+xml', text(join(directory, 'icon.svg')))],
    ['/page/uplot.js', asset(script, chartLibrary('uPlot.esm.js'))],
    ['/page/uplot.css', asset(style, chartLibrary('uPlot.min.css'))],
  ]);
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.css'))) {
    assets.set(`/page/${name}`, asset(style, text(join(directory, name))));
  }
  for (const name of readdirSync(join(directory, 'page'))) {
    if (!/^[a-z-]+\.ts$/.test(name)) continue;
    // Types become blanks, so lines and columns in the browser's debugger are those of the source.
    assets.set(`/page/${name}`, asset(script, stripTypeScriptTypes(text(join(directory, 'page', name)))));
  }
  return assets;
}

/**
 * The dashboard: `GET /` and the files it names below `/page/`. They are read, and the page's TypeScript stripped to
 * JavaScript, once, when this is called. No file holds anything of a session, so they need no login.
 *
 * @returns routes to mount at the root of the operator's server, beside `/api`.
 */
export function dashboardRoutes(): Hono {
  const app = new Hono();
  for (const [path, { type, body, etag }] of readAssets()) {
    app.get(path, (c) => {
      if (c.req.header('if-none-match') === etag) return c.body(null, 304, { ...headers, etag });
      return c.body(body, 200, { ...headers, etag, 'content-type': type });
    });
  }
  return app;
}
