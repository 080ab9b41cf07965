import type { Exchange } from '../protocol/exchange.ts';
import type { Database } from '../store/database.ts';
import { FoedusError } from '../errors.ts';
import { healthSchema, readinessSchema } from './model.ts';
import { json, operation, type Operation } from './operation.ts';

/**
 * Whether the process lives, and whether it can take work, which needs its store. Both without a token: of the
 * counterparties that are out of reach only the number is told.
 */
export function healthOperations(parts: {
  database: Database;
  exchange: Pick<Exchange, 'unreachable'>;
  stopping: AbortSignal;
}): Operation[] {
  const { database, exchange, stopping } = parts;
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
      answer: json(readinessSchema, 'It can.'),
      errors: ['unavailable'],
      handle: () => {
        try {
          probe.get();
          const peers = exchange.unreachable();
          const processesWaiting = peers.reduce((sum, { waiting }) => sum + waiting, 0);
          const delivery = { unreachablePeers: peers.length, processesWaiting };
          if (!stopping.aborted) return { status: 'ready', delivery };
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
