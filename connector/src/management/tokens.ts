import { z } from 'zod';
import type { Logger } from 'pino';
import * as model from './model.ts';
import { created, json, nothing, operation, type Operation } from './operation.ts';
import type { TokenStore } from './token-store.ts';

/** Who may call the operator's API, and for what. */
export function tokenOperations({ tokens, logger }: { tokens: TokenStore; logger: Logger }): Operation[] {
  const shared = { tag: 'Tokens' };
  return [
    operation({
      ...shared,
      method: 'get',
      path: '/caller',
      id: 'getCaller',
      summary: 'Says what the token of this call allows',
      scope: 'any',
      answer: json(model.callerSchema, 'The scope.'),
      errors: [],
      handle: ({ scope }) => ({ scope: scope! }),
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/tokens',
      id: 'createToken',
      summary: 'Makes a token',
      scope: 'administer',
      body: model.tokenRequestSchema,
      answer: created(model.createdTokenSchema, '/tokens', 'The token. Keep it: it is not told again.'),
      errors: [],
      handle: ({ body }) => {
        const token = tokens.create(body);
        logger.info({ token: token.id, name: token.name, scope: token.scope }, 'token created');
        return token;
      },
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/tokens',
      id: 'listTokens',
      summary: 'Lists tokens, those included that are no longer good',
      scope: 'administer',
      answer: json(z.array(model.accessTokenSchema), 'Tokens, the newest first.'),
      errors: [],
      handle: () => tokens.list(),
    }),
    operation({
      ...shared,
      method: 'delete',
      path: '/tokens/:id',
      id: 'revokeToken',
      summary: 'Revokes a token, at once',
      description: 'The token of the configured file cannot be revoked: delete the file, and restart the connector.',
      scope: 'administer',
      answer: nothing('It lets nobody in any more.'),
      errors: ['not-found'],
      handle: ({ params }) => {
        const { id, name } = tokens.revoke(params.id);
        logger.info({ token: id, name }, 'token revoked');
      },
    }),
  ];
}
