/** Refusals, failures and rounds without output, in words. */
import type { SessionView } from '../../session/view.ts';
import { h, list, panel, setAttribute, setText } from './element.ts';
import type { Part } from './element.ts';
import { icon } from './icons.ts';
import { messagesOf } from './refusals.ts';
import type { Message } from './refusals.ts';
import { count, namesOf, plural, time } from './words.ts';

const mostShown = 30;
/** What costs the round nothing but that partner. */
const mild: ReadonlySet<Message['what']> = new Set(['missed', 'dropped']);

interface Row {
  readonly message: Message;
  readonly name: string;
}

function rounds({ firstRound, lastRound }: Message): string {
  if (firstRound === null || lastRound === null) return '';
  return firstRound === lastRound
    ? ` round ${count(firstRound)}`
    : ` rounds ${count(firstRound)} to ${count(lastRound)}`;
}

function title({ message, name }: Row): string {
  const words: Readonly<Record<Message['what'], string>> = {
    refused: `${name} refused${rounds(message)}`,
    missed: `${name} missed${rounds(message)}`,
    dropped: `${name} dropped out of${rounds(message)}`,
    abandoned: `No output from${rounds(message)}`,
    note: name,
    failed: 'The session failed',
  };
  return words[message.what];
}

function messageRow(): Part<Row> {
  const head = h('strong', { class: 'name' });
  const at = h('time');
  const words = h('p');
  const element = h('li', { class: 'message' }, icon('warning'), h('p', { class: 'message-head' }, head, at), words);
  return {
    element,
    update(row) {
      setAttribute(element, 'class', `message ${mild.has(row.message.what) ? 'warn' : 'bad'}`);
      setText(head, title(row));
      setText(words, row.message.words);
      setText(at, row.message.at === null ? '' : time(row.message.at, new Date()));
      setAttribute(at, 'datetime', row.message.at);
    },
  };
}

/** @returns a panel with the newest messages first. */
export function createMessagesPanel(): Part<SessionView> {
  const nothing = h('p', { class: 'nothing' }, 'Nothing has gone wrong.');
  const rows = h('ul', { class: 'messages' });
  const more = h('p', { class: 'nothing' });
  const updateRows = list<Row>(rows, (row) => row.message.key, messageRow);
  return {
    element: panel('Refusals and errors', 'trouble', nothing, rows, more),
    update(view) {
      const messages = messagesOf(view);
      const names = namesOf(view.participants.map((participant) => participant.participantId));
      nothing.hidden = messages.length > 0;
      updateRows(
        messages.slice(0, mostShown).map((message) => ({
          message,
          name: message.participantId === null ? '' : (names.get(message.participantId) ?? message.participantId),
        })),
      );
      more.hidden = messages.length <= mostShown;
      setText(more, `The newest ${mostShown} of ${plural(messages.length, 'message')}.`);
    },
  };
}
