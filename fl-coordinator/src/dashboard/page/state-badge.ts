/** The state of a session, or of a participant, as a shape and a word. */
import type { SessionState } from '../../session/view.ts';
import { h, setAttribute, setText } from './element.ts';
import type { Part } from './element.ts';
import { icon } from './icons.ts';
import type { Icon } from './icons.ts';
import { stateWords, statusWords } from './words.ts';
import type { ShownStatus } from './words.ts';

type Tone = 'neutral' | 'active' | 'good' | 'warn' | 'bad';
type Look = readonly [Icon, Tone];

const stateLooks: Readonly<Record<SessionState, Look>> = {
  planned: ['planned', 'neutral'],
  recruiting: ['waiting', 'active'],
  running: ['running', 'active'],
  paused: ['paused', 'warn'],
  completed: ['completed', 'good'],
  stopped: ['stopped', 'neutral'],
  failed: ['failed', 'bad'],
};

const statusLooks: Readonly<Record<ShownStatus, Look>> = {
  invited: ['waiting', 'neutral'],
  enrolled: ['running', 'active'],
  finished: ['completed', 'good'],
  away: ['paused', 'warn'],
  refused: ['warning', 'bad'],
  departed: ['stopped', 'neutral'],
};

function badge<T extends string>(words: Readonly<Record<T, string>>, looks: Readonly<Record<T, Look>>): Part<T> {
  const text = h('span');
  const element = h('span', { class: 'badge' }, text);
  let shown: T | null = null;
  return {
    element,
    update(value) {
      if (value === shown) return;
      shown = value;
      const [shape, tone] = looks[value];
      element.querySelector('svg')?.remove();
      element.prepend(icon(shape));
      setAttribute(element, 'class', `badge ${tone}`);
      setText(text, words[value]);
    },
  };
}

export function stateBadge(): Part<SessionState> {
  return badge(stateWords, stateLooks);
}

export function statusBadge(): Part<ShownStatus> {
  return badge(statusWords, statusLooks);
}
