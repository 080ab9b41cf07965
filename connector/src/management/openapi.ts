import { z } from 'zod';
import { STATUS_BY_CODE } from '../errors.ts';
import * as model from './model.ts';
import type { ErrorCode, Operation } from './operation.ts';

type Json = Record<string, unknown>;
type Direction = 'input' | 'output';

const components = '#/components/schemas/';

/** What may go wrong, in words, for whoever reads the document. */
const meanings: Record<ErrorCode, string> = {
  'bad-request': 'path, query or body do not fit, or refer to what is not there',
  'bad-signature': 'a signature does not hold',
  'illegal-transition': 'the state does not allow it',
  'not-authenticated': 'no token that is good',
  'not-permitted': 'the token’s scope, or the agreement, does not allow it',
  'budget-exhausted': 'the agreement’s limit is reached',
  'not-found': 'there is no such thing',
  conflict: 'something else stands against it',
  gone: 'it has ended',
  'too-large': 'the body is too large',
  'wrong-peer': 'somebody else answers at the counterparty’s address',
  'refused-redirect': 'the counterparty sends elsewhere',
  unavailable: 'the counterparty, or a part of this node, does not answer',
};

/**
 * The OpenAPI 3.1 document of a table of operations. Everything in it comes from the table and from the schemas that
 * validate requests.
 *
 * @throws Error when a body or an answer has a schema without a name in `schemaNames`: a mistake in this program
 */
export function openApiDocument(operations: readonly Operation[], version: string): Json {
  const schemas = namedSchemas();
  const paths: Record<string, Json> = {};
  for (const one of operations) {
    const path = one.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [one.method]: describeOperation(one, schemas) };
  }
  const tags = [...new Set(operations.map(({ tag }) => tag))];
  return {
    openapi: '3.1.0',
    info: {
      title: 'Foedus connector: the operator’s API',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: [
        'What an organisation’s own people and programs do with their connector.',
        'Every call but those about its health needs a token. A token has a scope: `read` looks at everything but secrets, `use` asks for decisions and charges uses and sees nothing else, `operate` does both and acts, `administer` gives and takes tokens, too. The file that `management.tokenFile` names holds one that may administer; `foedus token create` makes others.',
        'Lists come in pages: the header `Link` with `rel="next"` leads to the next one. Every error has the same shape, with a `code` that stays what it is.',
      ].join('\n\n'),
    },
    servers: [{ url: '/', description: 'This connector' }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.used(),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A token of this connector.' },
      },
    },
  };
}

function describeOperation(one: Operation, schemas: NamedSchemas): Json {
  const { id, tag, summary, description, scope, body, answer } = one;
  const needs =
    {
      open: 'Needs no token.',
      any: 'Needs a token, whatever its scope.',
    }[scope as string] ?? `Needs a token with the scope \`${scope}\`.`;
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [description, needs].filter((text) => text !== undefined).join('\n\n'),
    // OpenAPI 3.1 lets every scheme name roles, not only OAuth.
    security: scope === 'open' ? [] : [{ token: scope === 'any' ? [] : [scope] }],
    parameters: parametersOf(one),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse({}).success,
            content: { 'application/json': { schema: schemas.reference(body, 'input') } },
          },
        }),
    responses: {
      [answer.status]: describeAnswer(one, schemas),
      ...describeErrors(one, schemas),
    },
  };
}

function describeAnswer({ answer, path, method }: Operation, schemas: NamedSchemas): Json {
  const { content, description, status } = answer;
  const location = {
    Location: { description: 'Address of what is new.', schema: { type: 'string' } },
  };
  const link = {
    Link: {
      description: 'Where the next page is, with `rel="next"` (RFC 8288). Absent on the last page.',
      schema: { type: 'string' },
    },
  };
  switch (content.kind) {
    case 'none':
      return { description };
    case 'raw':
      return { description, content: { [content.mediaType]: { schema: { type: 'string' } } } };
    case 'list':
      return {
        description,
        headers: link,
        content: {
          'application/json': { schema: { type: 'array', items: schemas.reference(content.schema, 'output') } },
        },
      };
    case 'json': {
      const schema =
        content.schema instanceof z.ZodArray
          ? { type: 'array', items: schemas.reference(content.schema.element as z.ZodType, 'output') }
          : schemas.reference(content.schema, 'output');
      return {
        description,
        ...(status === 201 ? { headers: location } : {}),
        content: { 'application/json': { schema } },
      };
    }
    default:
      throw new Error(`${method} ${path} answers with ${JSON.stringify(content)}, which has no description`);
  }
}

/** Errors by status: those that the operation names, and those that follow from what it takes. */
function describeErrors(one: Operation, schemas: NamedSchemas): Json {
  const codes = new Set<ErrorCode>(one.errors);
  if (one.scope !== 'open') codes.add('not-authenticated').add('not-permitted');
  if (one.query !== undefined || one.body !== undefined) codes.add('bad-request');
  if (one.body !== undefined) codes.add('too-large');
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    byStatus.set(STATUS_BY_CODE[code], [...(byStatus.get(STATUS_BY_CODE[code]) ?? []), code]);
  }
  const content = { 'application/json': { schema: schemas.reference(model.problemSchema, 'output') } };
  const entries = [...byStatus].map(([status, list]): [string, Json] => [
    String(status),
    { description: list.map((code) => `\`${code}\`: ${meanings[code]}.`).join(' '), content },
  ]);
  return {
    ...Object.fromEntries(entries),
    default: { description: '`internal`: this node failed; its log says why.', content },
  };
}

function parametersOf({ path, query }: Operation): Json[] {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    description: 'Percent-encoded.',
    schema: { type: 'string' },
  }));
  if (query === undefined) return inPath;
  // What comes out of reading a query is what its reader means by it: a number, a list of states.
  const { properties = {} } = z.toJSONSchema(query, { io: 'output', override: tidy }) as {
    properties?: Record<string, Json>;
  };
  const inQuery = Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: false,
    ...(description === undefined ? {} : { description }),
    ...(schema['type'] === 'array' ? { style: 'form', explode: false } : {}),
    schema,
  }));
  return [...inPath, ...inQuery];
}

interface NamedSchemas {
  reference(schema: z.ZodType, direction: Direction): Json;
  /** The schemas that were referred to, and what these refer to. */
  used(): Json;
}

/**
 * The named shapes as JSON Schema. Where a shape is read otherwise than it is written (a default may be left out), the
 * one that is read is called `…Input`.
 */
function namedSchemas(): NamedSchemas {
  const names = z.registry<{ id: string }>();
  const nameOf = new Map<z.ZodType, string>();
  for (const [id, schema] of Object.entries<z.ZodType>(model.schemaNames)) {
    names.add(schema, { id });
    nameOf.set(schema, id);
  }
  const convert = (io: Direction): Record<string, Json> => {
    const { schemas } = z.toJSONSchema(names, { io, uri: (id) => components + id, override: tidy });
    // Inside an OpenAPI document these would say that each schema is a document of its own.
    const inside = ({ $schema: _schema, $id: _id, ...schema }: Json): Json => schema;
    return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, inside(schema as Json)]));
  };
  const output = convert('output');
  const input = convert('input');
  const differs = new Set(
    Object.keys(output).filter((name) => JSON.stringify(input[name]) !== JSON.stringify(output[name])),
  );
  // Whoever refers to one that differs differs, too.
  for (let before = -1; before !== differs.size;) {
    before = differs.size;
    for (const [name, schema] of Object.entries(input))
      if (referred(schema).some((other) => differs.has(other))) differs.add(name);
  }
  const nameIn = (name: string, direction: Direction): string =>
    direction === 'input' && differs.has(name) ? `${name}Input` : name;
  const used = new Map<string, Json>();
  const use = (name: string, direction: Direction): string => {
    const called = nameIn(name, direction);
    if (!used.has(called)) {
      const schema = (direction === 'input' ? input : output)[name]!;
      used.set(called, schema);
      for (const other of referred(schema)) use(other, direction);
      used.set(
        called,
        renamed(schema, (other) => nameIn(other, direction)),
      );
    }
    return called;
  };
  return {
    reference: (schema, direction) => {
      const name = nameOf.get(schema);
      if (name === undefined) throw new Error('a schema of the operator’s API has no name in schemaNames');
      return { $ref: components + use(name, direction) };
    },
    used: () => Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function referred(schema: unknown): string[] {
  return [...JSON.stringify(schema).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!);
}

function renamed(schema: Json, rename: (name: string) => string): Json {
  return JSON.parse(
    JSON.stringify(schema).replaceAll(
      /"\$ref":"#\/components\/schemas\/(\w+)"/g,
      (_text, name: string) => `"$ref":"${components}${rename(name)}"`,
    ),
  ) as Json;
}

/** Takes out what says nothing to a reader, and what would forbid that an answer gets new members one day. */
function tidy({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodType;
  jsonSchema: z.core.JSONSchema.BaseSchema;
}): void {
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (jsonSchema.type === 'integer') {
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  }
  const { def } = zodSchema._zod as { def: { type: string; catchall?: unknown } };
  if (def.type === 'object' && def.catchall === undefined) delete jsonSchema.additionalProperties;
}
