/** The page: signs in, follows the sessions and shows the chosen one. */
import { h } from './element.ts';
import { followSessions } from './live.ts';
import { createDashboard } from './dashboard.ts';
import { createLogin, takeTokenFromAddress, tokenIsInAddress } from './login.ts';
import { login } from './operator-api.ts';
import { createSurroundings } from './surroundings.ts';
import { startTheme } from './theme.ts';

const surroundings = createSurroundings();

function showLogin(message: string): void {
  surroundings.show('signing-in', h('main', { id: 'session', tabindex: -1 }, createLogin(message)));
}

function showSessions(): void {
  const dashboard = createDashboard();
  let known = false;
  followSessions({
    sessions(views) {
      known = true;
      dashboard.receive(views);
    },
    connection(connection) {
      const words = surroundings.connection(connection);
      if (words !== null) dashboard.announce(words);
    },
    signedOut() {
      surroundings.connection(null);
      showLogin(known ? 'The login has ended. Please sign in again.' : '');
    },
  });
  surroundings.show('dashboard', ...dashboard.elements);
}

async function start(): Promise<void> {
  startTheme();
  document.body.append(...surroundings.elements);
  // An address with a token, pasted into an open page, only changes the hash.
  addEventListener('hashchange', () => {
    if (tokenIsInAddress()) location.reload();
  });
  const token = takeTokenFromAddress();
  if (token === null) showSessions();
  else {
    await login(token).then(showSessions, (error: unknown) =>
      showLogin(error instanceof Error ? error.message : String(error)),
    );
  }
}

void start();
