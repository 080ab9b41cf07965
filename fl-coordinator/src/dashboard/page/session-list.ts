/** The sessions to choose from. */
import type { SessionView } from '../../session/view.ts';
import { h, list, setAttribute, setText } from './element.ts';
import type { Part } from './element.ts';
import { stateBadge } from './state-badge.ts';
import { count } from './words.ts';

/** The address of a session within the page, so that back, forward and bookmarks work. */
export function addressOf(sessionId: string): string {
  return `#/sessions/${encodeURIComponent(sessionId)}`;
}

/** @returns the session that an address names; null when it names none. */
export function sessionIn(hash: string): string | null {
  const encoded = /^#\/sessions\/([^/]+)$/.exec(hash)?.[1];
  try {
    return encoded === undefined ? null : decodeURIComponent(encoded);
  } catch {
    return null;
  }
}

export interface SessionChoice {
  readonly sessions: readonly SessionView[];
  readonly chosen: string | null;
}

interface Item {
  readonly view: SessionView;
  readonly chosen: boolean;
}

function item(first: Item): Part<Item> {
  const title = h('span', { class: 'item-title' });
  const badge = stateBadge();
  const rounds = h('span', { class: 'item-rounds' });
  const link = h(
    'a',
    { href: addressOf(first.view.id) },
    title,
    h('span', { class: 'item-line' }, badge.element, rounds),
  );
  return {
    element: h('li', {}, link),
    update({ view, chosen }) {
      setText(title, view.title);
      badge.update(view.state);
      setText(rounds, `${count(view.roundsDone)} of ${count(view.roundsTarget)}`);
      setAttribute(rounds, 'title', 'Rounds done');
      setAttribute(link, 'aria-current', chosen ? 'page' : null);
    },
  };
}

/** @returns the navigation with one link for each session. */
export function createSessionList(): Part<SessionChoice> {
  const items = h('ul', { class: 'session-list' });
  const none = h('p', { class: 'nothing' }, 'None yet.');
  const updateItems = list<Item>(items, (one) => one.view.id, item);
  return {
    element: h(
      'nav',
      { 'aria-labelledby': 'sessions-heading' },
      h('h2', { id: 'sessions-heading' }, 'Sessions'),
      none,
      items,
    ),
    update({ sessions, chosen }) {
      none.hidden = sessions.length > 0;
      updateItems(sessions.map((view) => ({ view, chosen: view.id === chosen })));
    },
  };
}
