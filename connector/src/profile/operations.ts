import { z } from 'zod';
import { json, operation, type Operation } from '../management/operation.ts';
import { emptySchema } from '../management/model.ts';
import { longPoll, waitSchema } from '../management/requests.ts';
import type { Changes } from '../protocol/changes.ts';
import { assetProfileSchema, assetSchemaSchema } from './model.ts';
import { profileTopic, type Profiler } from './profiler.ts';

/** What data sets hold, and whether they are still as they were published. */
export function profileOperations({ profiler, changes }: { profiler: Profiler; changes: Changes }): Operation[] {
  const asset = { tag: 'Assets' };
  const schema = json(assetSchemaSchema, 'The schema as pinned, and how it has changed.');
  return [
    operation({
      ...asset,
      method: 'get',
      path: '/assets/:id/profile',
      id: 'getAssetProfile',
      summary: 'Shows what a data set holds, at once or when it has been looked at',
      description:
        'A data set is profiled in the background after it was published: of more than 40 million cells, a random sample of blocks; of a table in a database, the first 100,000 rows.',
      scope: 'read',
      query: z.strictObject({ wait: waitSchema }),
      answer: json(assetProfileSchema, 'The profile.'),
      errors: ['not-found'],
      handle: async ({ params: { id }, query: { wait }, context }) => {
        // Who waits for it need not wait until it would begin by itself.
        if (wait > 0 && profiler.get(id).state === 'waiting') profiler.hurry();
        return await longPoll(context, {
          wait,
          changes,
          topic: profileTopic(id),
          read: () => profiler.get(id),
          ready: ({ state }) => state === 'done' || state === 'failed',
        });
      },
    }),
    operation({
      ...asset,
      method: 'post',
      path: '/assets/:id/profile',
      id: 'profileAsset',
      summary: 'Looks at a data set again',
      scope: 'operate',
      body: emptySchema,
      answer: json(assetProfileSchema, 'The profile, about to be made.'),
      errors: ['not-found'],
      handle: ({ params }) => profiler.again(params.id),
    }),
    operation({
      ...asset,
      method: 'get',
      path: '/assets/:id/schema',
      id: 'checkAssetSchema',
      summary: 'Compares a data set with the schema that it was published with',
      scope: 'read',
      answer: schema,
      errors: ['not-found', 'unavailable'],
      handle: ({ params }) => profiler.schema(params.id),
    }),
    operation({
      ...asset,
      method: 'post',
      path: '/assets/:id/schema',
      id: 'repinAssetSchema',
      summary: 'Pins the schema that a data set has now',
      description: 'Columns that have been added are granted from now on where agreements grant all columns.',
      scope: 'operate',
      body: emptySchema,
      answer: schema,
      errors: ['not-found', 'unavailable'],
      handle: ({ params }) => profiler.repin(params.id),
    }),
  ];
}
