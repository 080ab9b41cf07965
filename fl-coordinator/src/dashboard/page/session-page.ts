/** One session: its head with state, progress and controls, and the panels below. */
import type { SessionView } from '../../session/view.ts';
import { createContractPanel } from './contract-panel.ts';
import { createControls } from './controls.ts';
import { createDurationsPanel } from './durations-panel.ts';
import { h, setAttribute, setText } from './element.ts';
import type { Part } from './element.ts';
import { createMessagesPanel } from './messages-panel.ts';
import { createAucPanel, createLogLossPanel } from './metric-panels.ts';
import { createParticipantsPanel } from './participants-panel.ts';
import { createPrivacyPanel } from './privacy-panel.ts';
import { createPromisePanel } from './promise-panel.ts';
import { createSecurePanel } from './secure-panel.ts';
import { stateBadge } from './state-badge.ts';
import { createTradeOffPanel } from './trade-off-panel.ts';
import { progressSentence, situation } from './words.ts';

function createHead(onView: (view: SessionView) => void): Part<SessionView> {
  const title = h('h1');
  const badge = stateBadge();
  const words = h('p', { class: 'situation' });
  const sentence = h('p', { class: 'progress-words', id: 'progress-words' });
  const progress = h('progress', { 'aria-labelledby': 'progress-words' });
  const controls = createControls(onView);
  return {
    element: h(
      'header',
      { class: 'session-head' },
      h('div', { class: 'session-title' }, badge.element, title, words),
      controls.element,
      h('div', { class: 'session-progress' }, sentence, progress),
    ),
    update(view) {
      setText(title, view.title);
      badge.update(view.state);
      setText(words, situation(view));
      setText(sentence, progressSentence(view));
      setAttribute(progress, 'max', Math.max(1, view.roundsTarget));
      setAttribute(progress, 'value', view.roundsDone);
      controls.update(view);
    },
  };
}

/** @param onView is given the session as it is after an action of the operator. */
export function createSessionPage(onView: (view: SessionView) => void): Part<SessionView> {
  const head = createHead(onView);
  const panels = [
    createAucPanel(),
    createLogLossPanel(),
    createParticipantsPanel(),
    createPrivacyPanel(),
    createSecurePanel(),
    createPromisePanel(),
    createTradeOffPanel(),
    createDurationsPanel(),
    createMessagesPanel(),
    createContractPanel(),
  ];
  return {
    element: h('article', {}, head.element, h('div', { class: 'panels' }, ...panels.map((one) => one.element))),
    update(view) {
      head.update(view);
      for (const one of panels) one.update(view);
    },
  };
}
