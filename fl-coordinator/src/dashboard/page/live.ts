/** Keeps what the page knows of the sessions equal to what the coordinator knows. */
import type { SessionView } from '../../session/view.ts';
import { RequestError, listSessions } from './operator-api.ts';

export type Connection = 'connecting' | 'live' | 'lost';

const longestWaitMs = 10_000;

/**
 * Follows the coordinator's events and comes back after every loss.
 *
 * A browser's EventSource tries again after a broken connection but gives up for good on an answer other than 200:
 * then this asks the API itself, to tell an expired login from a coordinator that is just starting.
 */
export function followSessions(on: {
  readonly sessions: (views: readonly SessionView[]) => void;
  readonly connection: (connection: Connection) => void;
  readonly signedOut: () => void;
}): void {
  let waitMs = 500;

  const again = (): void => {
    on.connection('lost');
    setTimeout(() => void connect(), waitMs);
    waitMs = Math.min(longestWaitMs, waitMs * 2);
  };

  const connect = async (): Promise<void> => {
    try {
      on.sessions(await listSessions());
    } catch (error) {
      if (error instanceof RequestError && error.status === 401) on.signedOut();
      else again();
      return;
    }
    const events = new EventSource('/api/events');
    events.addEventListener('open', () => {
      waitMs = 500;
      on.connection('live');
    });
    events.addEventListener('session', (event: MessageEvent<string>) => {
      on.sessions([JSON.parse(event.data) as SessionView]);
    });
    events.addEventListener('error', () => {
      if (events.readyState === EventSource.CLOSED) again();
      else on.connection('lost');
    });
  };

  on.connection('connecting');
  void connect();
}
