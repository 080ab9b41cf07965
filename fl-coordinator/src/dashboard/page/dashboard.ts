/** The list of sessions and the chosen one, kept up to date with what is received. */
import type { SessionView } from '../../session/view.ts';
import { createAnnouncer } from './announcer.ts';
import { h } from './element.ts';
import { addressOf, createSessionList, sessionIn } from './session-list.ts';
import { createSessionPage } from './session-page.ts';

const active = new Set<SessionView['state']>(['recruiting', 'running', 'paused']);

function newestFirst(a: SessionView, b: SessionView): number {
  return b.createdAt.localeCompare(a.createdAt) || a.id.localeCompare(b.id);
}

function notice(title: string, words: string): HTMLElement {
  return h('div', { class: 'empty' }, h('h1', {}, title), h('p', {}, words));
}

export interface Dashboard {
  readonly elements: readonly HTMLElement[];
  receive(views: readonly SessionView[]): void;
  announce(words: string): void;
}

export function createDashboard(): Dashboard {
  const sessions = new Map<string, SessionView>();
  let chosen = sessionIn(location.hash);
  let frame: number | null = null;

  const announcer = createAnnouncer();
  const navigation = createSessionList();
  const page = createSessionPage((view) => {
    // The answer to an action may arrive after an event that is newer.
    const known = sessions.get(view.id);
    if (known === undefined || known.updatedAt <= view.updatedAt) receive([view]);
  });
  const none = notice(
    'No sessions yet',
    'A session appears here as soon as it is planned: a plan, and one agreement for each partner, posted to /api/sessions.',
  );
  const missing = notice(
    'No such session',
    'The coordinator does not know the session in this address. Choose another.',
  );
  const main = h('main', { id: 'session', tabindex: -1 });

  const draw = (): void => {
    frame = null;
    const views = [...sessions.values()].sort(newestFirst);
    if (chosen === null) {
      chosen = (views.find((view) => active.has(view.state)) ?? views[0])?.id ?? null;
      // Once shown, a session stays shown, whatever begins beside it; and the way back leads to it.
      if (chosen !== null) history.replaceState(null, '', addressOf(chosen));
    }
    navigation.update({ sessions: views, chosen });
    const view = chosen === null ? undefined : sessions.get(chosen);
    const content = view !== undefined ? page.element : views.length === 0 ? none : missing;
    if (content.parentElement !== main) main.replaceChildren(content);
    document.title = view === undefined ? 'Foedus coordinator' : `${view.title} · Foedus coordinator`;
    if (view === undefined) return;
    page.update(view);
    announcer.observe(view);
  };

  const receive = (views: readonly SessionView[]): void => {
    for (const view of views) sessions.set(view.id, view);
    // However many events arrive for one frame, it is drawn once.
    frame ??= requestAnimationFrame(draw);
  };

  addEventListener('hashchange', () => {
    const next = sessionIn(location.hash);
    if (next === null || next === chosen) return;
    chosen = next;
    draw();
    scrollTo({ top: 0 });
  });

  return {
    elements: [navigation.element, main, announcer.element],
    receive,
    announce: (words) => announcer.say(words),
  };
}
