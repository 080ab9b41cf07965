/** Says to screen readers what changed in the chosen session: states, refusals, the connection. Not every round. */
import type { SessionView } from '../../session/view.ts';
import { h, setText } from './element.ts';
import { messagesOf } from './refusals.ts';
import { shortName, situation, stateWords } from './words.ts';

export interface Announcer {
  readonly element: HTMLElement;
  say(words: string): void;
  /** Compares with the view it was given before, if that was of the same session. */
  observe(view: SessionView): void;
}

export function createAnnouncer(): Announcer {
  const element = h('p', { class: 'for-screen-readers', 'aria-live': 'polite' });
  let before: { readonly id: string; readonly state: string; readonly messages: ReadonlySet<string> } | null = null;
  return {
    element,
    say: (words) => setText(element, words),
    observe(view) {
      const messages = messagesOf(view);
      const now = { id: view.id, state: view.state, messages: new Set(messages.map((message) => message.key)) };
      if (before?.id === view.id) {
        const known = before.messages;
        const news = messages
          .filter((message) => !known.has(message.key))
          .map(({ participantId, words }) =>
            participantId === null ? words : `${shortName(participantId)}: ${words}`,
          );
        if (before.state !== view.state) news.unshift(`${stateWords[view.state]}. ${situation(view)}`);
        if (news.length > 0) setText(element, news.join(' '));
      }
      before = now;
    },
  };
}
