import type { Database } from '../store/database.ts';
import { FoedusError } from '../errors.ts';
import { healthSchema } from './model.ts';
import { json, operation, type Operation } from './operation.ts';

/** Whether the process lives, and whether it can take work, which needs its store. Both without a token. */
export function healthOperations({ database, stopping }: { database: Database; stopping: AbortSignal }): Operation[] {
  const probe = database.sql.prepare('SELECT 1');
  const shared = { method: 'get', tag: 'Health', scope: 'open' } as const;
  return [
    operation({
      ...shared,
      path: '/health',
      id: 'getHealth',
      summary: 'Whether the process lives',
      answer: json(healthSchema, 'It lives.'),
      errors: [],
      handle: () => ({ status: 'ok' }),
    }),
    operation({
      ...shared,
      path: '/ready',
      id: 'getReady',
      summary: 'Whether it can take work',
      answer: json(healthSchema, 'It can.'),
      errors: ['unavailable'],
      handle: () => {
        try {
          probe.get();
          if (!stopping.aborted) return { status: 'ready' };
        } catch {
          // Said below.
        }
        throw new FoedusError(
          'unavailable',
          'This connector cannot take work: it stops, or its store does not answer.',
        );
      },
    }),
  ];
}
