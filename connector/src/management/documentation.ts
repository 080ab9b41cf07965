import packageJson from '../../package.json' with { type: 'json' };
import { jsonObject } from './model.ts';
import { openApiDocument } from './openapi.ts';
import { json, operation, type Operation } from './operation.ts';

/** The API's own description: for programs at `/openapi.json`, for people at `/docs`. */
export function documentationOperations(described: readonly Operation[]): Operation[] {
  const shared = { method: 'get', tag: 'Documentation', scope: 'read', browsable: true, errors: [] } as const;
  let document: Record<string, unknown> | undefined;
  const operations: Operation[] = [
    operation({
      ...shared,
      path: '/openapi.json',
      id: 'getOpenApi',
      summary: 'This API as an OpenAPI 3.1 document',
      answer: json(jsonObject, 'The document.'),
      handle: () => (document ??= openApiDocument([...described, ...operations], packageJson.version)),
    }),
  ];
  return operations;
}
