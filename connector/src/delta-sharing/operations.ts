import { z } from 'zod';
import type { Logger } from 'pino';
import { created, json, nothing, operation, type Operation } from '../management/operation.ts';
import { createdShareProfileSchema, shareProfileRequestSchema, shareProfileSchema } from './model.ts';
import type { ShareProfiles } from './share-profiles.ts';

/** Profiles for Delta Sharing clients of this organisation. */
export function shareOperations({ shares, logger }: { shares: ShareProfiles; logger: Logger }): Operation[] {
  const shared = { tag: 'Delta Sharing' };
  return [
    operation({
      ...shared,
      method: 'post',
      path: '/share-profiles',
      id: 'createShareProfile',
      summary: 'Makes a profile that Delta Sharing clients read data sets with, under agreements',
      scope: 'operate',
      body: shareProfileRequestSchema,
      answer: created(
        createdShareProfileSchema,
        '/share-profiles',
        'The profile, and its file. Keep it: its token is not told again.',
      ),
      errors: ['not-found', 'conflict'],
      handle: ({ body }) => {
        const profile = shares.create(body);
        logger.info({ profile: profile.id, name: profile.name }, 'share profile created');
        return profile;
      },
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/share-profiles',
      id: 'listShareProfiles',
      summary: 'Lists profiles, those included that are no longer good',
      scope: 'read',
      answer: json(z.array(shareProfileSchema), 'Profiles, the newest first.'),
      errors: [],
      handle: () => shares.list(),
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/share-profiles/:id',
      id: 'getShareProfile',
      summary: 'Shows a profile',
      scope: 'read',
      answer: json(shareProfileSchema, 'The profile, without its token.'),
      errors: ['not-found'],
      handle: ({ params }) => shares.get(params.id),
    }),
    operation({
      ...shared,
      method: 'delete',
      path: '/share-profiles/:id',
      id: 'revokeShareProfile',
      summary: 'Revokes a profile, at once',
      description: 'Files that were queried with it cannot be read any more.',
      scope: 'operate',
      answer: nothing('It lets nobody in any more.'),
      errors: ['not-found'],
      handle: ({ params }) => {
        const { id, name } = shares.revoke(params.id);
        logger.info({ profile: id, name }, 'share profile revoked');
      },
    }),
  ];
}
