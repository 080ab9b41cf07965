import { chmod, writeFile } from 'node:fs/promises';
import { FoedusError } from '@foedus/connector/errors';
import type { Scope } from '@foedus/connector/operator-client';
import { ownConnector } from '../own-connector.ts';
import { print, printTable, time } from '../terminal.ts';

export interface CreateToken {
  readonly config: string;
  readonly scope: Scope;
  readonly name?: string;
  readonly days?: number;
  readonly output?: string;
}

/** Makes a token of the operator's API: prints it alone, or writes it into a file that only this user reads. */
export async function createToken(options: CreateToken): Promise<void> {
  const { operator } = await ownConnector(options.config);
  const { id, token, expiresAt } = await operator.createToken({
    name: options.name ?? `${options.scope} token`,
    scope: options.scope,
    ...(options.days !== undefined && { expiresAt: new Date(Date.now() + options.days * 86_400_000).toISOString() }),
  });
  if (options.output === undefined) {
    print(token);
    return;
  }
  try {
    await writeFile(options.output, `${token}\n`, { mode: 0o600 });
    // A file that was there before keeps its mode otherwise.
    await chmod(options.output, 0o600);
  } catch (cause) {
    await operator.revokeToken(id);
    throw new FoedusError('bad-request', `${options.output} cannot be written: ${(cause as Error).message}`, { cause });
  }
  print(
    `${id}: may ${options.scope}${expiresAt === undefined ? '' : ` until ${time(expiresAt)}`}, in ${options.output}`,
  );
}

/** Lists tokens, those included that are no longer good. */
export async function listTokens({ config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const now = new Date().toISOString();
  printTable(
    ['id', 'scope', 'name', 'made', 'last used', 'state'],
    (await operator.tokens()).map(({ id, scope, name, createdAt, lastUsedAt, expiresAt, revokedAt }) => [
      id,
      scope,
      name,
      time(createdAt),
      lastUsedAt === undefined ? 'never' : time(lastUsedAt),
      revokedAt !== undefined
        ? `revoked ${time(revokedAt)}`
        : expiresAt === undefined
          ? 'good'
          : `${expiresAt > now ? 'good until' : 'expired'} ${time(expiresAt)}`,
    ]),
    'There are no tokens but the one of management.tokenFile. foedus token create makes one.',
  );
}

/** Revokes a token, at once. */
export async function revokeToken(id: string, { config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  await operator.revokeToken(id);
  print(`${id} lets nobody in any more.`);
}
