/** Sentences below a chart: what holds, what does not, and what has to be known beside it. */
import { h, list, setText } from './element.ts';
import type { Part } from './element.ts';
import { icon } from './icons.ts';

export interface Sentence {
  readonly text: string;
  /** `good` and `bad` have a sign of their own, so that colour is not needed to tell them apart. */
  readonly kind: 'plain' | 'good' | 'bad';
}

function item({ kind }: Sentence): Part<Sentence> {
  const words = h('span');
  const sign = kind === 'plain' ? null : icon(kind === 'good' ? 'completed' : 'warning');
  const look = kind === 'bad' ? 'refusal' : kind === 'good' ? 'verdict' : '';
  return { element: h('li', { class: look }, sign, words), update: ({ text }) => setText(words, text) };
}

/** @returns a list with one item for each sentence; hidden while there is none */
export function sentenceList(): Part<readonly Sentence[]> {
  const element = h('ul', { class: 'sentences', hidden: true });
  const update = list<Sentence>(element, ({ kind, text }) => `${kind} ${text}`, item);
  return {
    element,
    update(sentences) {
      element.hidden = sentences.length === 0;
      update(sentences);
    },
  };
}
