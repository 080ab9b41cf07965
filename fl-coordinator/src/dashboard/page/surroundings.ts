/** What is around the content on every view: skip link, name, connection, theme, and the banner of a lost connection. */
import { h, setText } from './element.ts';
import type { Connection } from './live.ts';
import { themeButton } from './theme.ts';

const connectionWords: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Connection lost',
};

export interface Surroundings {
  readonly elements: readonly HTMLElement[];
  show(className: string, ...content: readonly HTMLElement[]): void;
  /** Shows the state of the connection; null hides it. @returns words for screen readers when it was lost or is back. */
  connection(connection: Connection | null): string | null;
}

export function createSurroundings(): Surroundings {
  const skip = h('a', { class: 'skip', href: '#session' }, 'Skip to the session');
  skip.addEventListener('click', (event) => {
    // The address names the session; it must not become `#session`.
    event.preventDefault();
    document.querySelector<HTMLElement>('#session')?.focus();
  });
  const words = h('span', { class: 'connection' });
  const banner = h(
    'p',
    { class: 'banner', hidden: true },
    'Connection lost, retrying. What you see may be out of date.',
  );
  const content = h('div');
  const name = h('p', { class: 'product' }, 'Foedus ', h('span', {}, 'coordinator'));
  const top = h('header', { class: 'top' }, name, words, themeButton());
  return {
    elements: [skip, top, content, banner],
    show(className, ...elements) {
      content.className = className;
      content.replaceChildren(...elements);
    },
    connection(connection) {
      const wasLost = !banner.hidden;
      banner.hidden = connection !== 'lost';
      setText(words, connection === null ? '' : connectionWords[connection]);
      words.dataset['state'] = connection ?? 'none';
      if (connection === 'lost' && !wasLost) return 'Connection lost, retrying.';
      return connection === 'live' && wasLost ? 'Connected again.' : null;
    },
  };
}
