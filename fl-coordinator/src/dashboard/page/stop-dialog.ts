/** Stopping cannot be undone: it is asked for twice, and a reason can be given. */
import { h, setText } from './element.ts';

export interface StopDialog {
  readonly element: HTMLDialogElement;
  /** @returns the reason, possibly empty, when the operator confirms; null when not. */
  ask(title: string): Promise<string | null>;
}

export function createStopDialog(): StopDialog {
  const question = h('h2', { id: 'stop-question' });
  const reason = h('input', { id: 'stop-reason', name: 'reason', maxlength: 500, autocomplete: 'off' });
  const keep = h('button', { type: 'button' }, 'Keep it running');
  const stop = h('button', { type: 'submit', class: 'danger' }, 'Stop the session');
  const form = h(
    'form',
    { method: 'dialog' },
    question,
    h(
      'p',
      {},
      'Partners are told to stop and their transfers are completed. Updates of the unfinished round are dropped.',
    ),
    h('label', { for: 'stop-reason' }, 'Reason, for the partners (may be left out)'),
    reason,
    h('div', { class: 'dialog-buttons' }, keep, stop),
  );
  const element = h('dialog', { 'aria-labelledby': 'stop-question' }, form);
  keep.addEventListener('click', () => element.close());
  form.addEventListener('submit', () => (element.returnValue = 'stop'));

  return {
    element,
    ask(title) {
      setText(question, `Stop “${title}”?`);
      reason.value = '';
      element.returnValue = '';
      element.showModal();
      return new Promise((resolve) => {
        const closed = (): void => resolve(element.returnValue === 'stop' ? reason.value.trim() : null);
        element.addEventListener('close', closed, { once: true });
      });
    },
  };
}
