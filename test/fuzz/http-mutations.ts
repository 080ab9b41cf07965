import type { Dice } from './dice.ts';

/** A request as it goes onto the wire. */
export interface FuzzRequest {
  readonly method: string;
  /** As it is sent, not normalised. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const METHODS = ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'POST', 'PROPFIND'];
const CONTENT_TYPES = [
  'text/plain',
  'application/ld+json',
  'application/json; charset=utf-16',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  '',
  'x',
  'application/json, text/html',
  'application/octet-stream',
];
const PATHS: readonly ((path: string, dice: Dice) => string)[] = [
  (path) => `${path}/`,
  (path) => `${path}//`,
  (path) => path.replaceAll('/', '//'),
  (path) => path.replace('/2025-1', '/2025-1/../2025-1'),
  (path) => path.replace('/2025-1', '/2025-1/%2e%2e/2025-1'),
  (path) => path.replace('/2025-1', '/2024-1'),
  (path) => `${path}%00`,
  (path) => `${path}%ff%fe`,
  (path) => `${path}%`,
  (path) => `${path}%zz`,
  (path) => path.toUpperCase(),
  (path) => `${path};jsessionid=1`,
  (path) => `${path}?continuationToken=${'A'.repeat(50)}`,
  (path) => `${path}?a=1&a=2&%00=%ff`,
  (path) => `${path}#fragment`,
  (path, dice) =>
    path.replace(
      /urn[^/]*/,
      dice.pick(['..', '.', '%2F', '%2e%2e', '*', ':id', '__proto__', 'a'.repeat(5_000), '%F0%9F%98%80', 'null', '']),
    ),
  (path, dice) =>
    path.replace(
      /\/[a-z]+$/,
      dice.pick(['/start', '/termination', '/agreement', '/events', '/offers', '/request', '/nothing', '']),
    ),
  (path, dice) =>
    dice.chance(0.5) ? path.replace('/negotiations', '/transfers') : path.replace('/transfers', '/negotiations'),
  (_path, dice) =>
    dice.pick([
      '/',
      '*',
      '/2025-1',
      '/data/x',
      '/data/',
      '/data/urn%3Auuid%3Ax?columns=a&purpose=b',
      '/.well-known/dspace-version',
      '/.well-known/',
      '/health',
      '/assets',
      '/2025-1/catalog/datasets/',
      '/2025-1/catalog/datasets/%2e%2e',
    ]),
];
const HEADERS: readonly Readonly<Record<string, string>>[] = [
  { host: 'a b' },
  { host: '' },
  { host: '[::1' },
  { host: 'example.org:99999' },
  { 'content-encoding': 'gzip' },
  { 'accept-encoding': 'gzip;q=x, *;q=0, ,;' },
  { accept: 'text/html;q=0.1' },
  { authorization: 'Bearer x' },
  { authorization: `Basic ${'A'.repeat(5_000)}` },
  { traceparent: '00-x-y-zz' },
  { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'a=b'.repeat(200) },
  { baggage: 'a=%ff' },
  { cookie: ';;;=' },
  { 'x-forwarded-for': '127.0.0.1' },
  { 'x-http-method-override': 'DELETE' },
  { expect: '100-continue' },
  { range: 'bytes=0-' },
  { 'last-event-id': '-1' },
  { te: 'trailers' },
  { 'if-none-match': '*' },
];

/** @returns the request, now and then with another method, path or other headers than it should have */
export function mutateRequest(request: FuzzRequest, dice: Dice): FuzzRequest {
  let { method, path, headers } = request;
  if (dice.chance(0.06)) path = dice.pick(PATHS)(path, dice);
  if (dice.chance(0.02)) method = dice.pick(METHODS);
  if (dice.chance(0.05)) headers = { ...headers, 'content-type': dice.pick(CONTENT_TYPES) };
  if (dice.chance(0.05)) headers = { ...headers, ...dice.pick(HEADERS) };
  return { method, path, headers, body: request.body };
}

/** What no HTTP library sends, byte by byte; `HOST` and `PATH` are filled in. */
export const RAW_REQUESTS: readonly string[] = [
  'POST PATH HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\n{}',
  'POST PATH HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
  'POST PATH HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST PATH HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n',
  'POST PATH HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n',
  'POST PATH HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}',
  'POST PATH HTTP/9.9\r\nHost: HOST\r\n\r\n',
  'POST PATH\r\n\r\n',
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: HOST\r\n\r\n`,
  `GET PATH HTTP/1.1\r\nHost: HOST\r\n${'X-A: b\r\n'.repeat(3_000)}\r\n`,
  'GET PATH HTTP/1.1\r\nHost: HOST\r\nX: a\u0000b\r\n\r\n',
  'GET /2025-1/ca talog HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'GET https://other.example/2025-1/catalog/datasets/x HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'GET //other.example/x HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'CONNECT other.example:443 HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'GET PATH HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\u0000\u0001\u0002\u0003',
  '\r\n\r\n\r\n',
  'POST PATH HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n',
  'POST PATH HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999999999999999\r\n\r\n{}',
  'POST PATH HTTP/1.1\r\nHost: HOST\r\nExpect: nonsense\r\nContent-Length: 2\r\n\r\n{}',
];
