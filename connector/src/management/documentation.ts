import { readFile } from 'node:fs/promises';
import packageJson from '../../package.json' with { type: 'json' };
import { FoedusError } from '../errors.ts';
import { jsonObject } from './model.ts';
import { openApiDocument } from './openapi.ts';
import { json, operation, raw, type Operation } from './operation.ts';

/** Everything that the page loads: its own files, and those of swagger-ui. Nothing comes from anywhere else. */
const files: Readonly<Record<string, { readonly url: string; readonly type: string }>> = {
  'page.css': { url: new URL('docs-page/page.css', import.meta.url).href, type: 'text/css' },
  'start.js': { url: new URL('docs-page/start.js', import.meta.url).href, type: 'text/javascript' },
  'swagger-ui.css': { url: import.meta.resolve('swagger-ui-dist/swagger-ui.css'), type: 'text/css' },
  'swagger-ui-bundle.js': { url: import.meta.resolve('swagger-ui-dist/swagger-ui-bundle.js'), type: 'text/javascript' },
};

const headers = {
  // Swagger UI writes style attributes, and shows its pictures from data URLs.
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'private, max-age=3600',
};

/**
 * The API's own description: for programs at `/openapi.json`, for people at `/docs`. A browser asks its user for a
 * token (any name, the token as password), because nothing but health is open.
 *
 * @param described every other operation
 */
export function documentationOperations(described: readonly Operation[]): Operation[] {
  const shared = { method: 'get', tag: 'Documentation', scope: 'any', browsable: true } as const;
  let document: Record<string, unknown> | undefined;
  const operations: Operation[] = [
    operation({
      ...shared,
      path: '/openapi.json',
      id: 'getOpenApi',
      summary: 'This API as an OpenAPI 3.1 document',
      answer: json(jsonObject, 'The document.'),
      errors: [],
      handle: () => (document ??= openApiDocument([...described, ...operations], packageJson.version)),
    }),
    operation({
      ...shared,
      path: '/docs',
      id: 'getDocs',
      summary: 'This API as a page to read and to try',
      answer: raw('text/html', 'The page.'),
      errors: [],
      handle: async () => {
        const page = await readFile(new URL('docs-page/index.html', import.meta.url));
        return new Response(page, { headers: { ...headers, 'content-type': 'text/html; charset=utf-8' } });
      },
    }),
    operation({
      ...shared,
      path: '/docs/:file',
      id: 'getDocsFile',
      summary: 'What the page needs',
      answer: raw('application/octet-stream', 'A script or a style sheet.'),
      errors: ['not-found'],
      handle: async ({ params }) => {
        const file = Object.hasOwn(files, params.file) ? files[params.file] : undefined;
        if (!file) throw new FoedusError('not-found', 'The page has no such file. It begins at /docs.');
        const content = await readFile(new URL(file.url));
        return new Response(content, { headers: { ...headers, 'content-type': `${file.type}; charset=utf-8` } });
      },
    }),
  ];
  return operations;
}
