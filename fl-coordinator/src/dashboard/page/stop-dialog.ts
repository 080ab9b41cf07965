/** Stopping cannot be undone: it is asked for twice, and a reason can be given. */
import { h, setText } from './element.ts';

export interface StopDialog {
  readonly element: HTMLDialogElement;
  /** @returns the reason, possibly empty, when the operator confirms; null when not. */
  ask(title: string): Promise<string | null>;
}

export function createStopDialog(): StopDialog {
  const consequence = h('p');
  const reason = h('input', { id: 'stop-reason', name: 'reason', maxlength: 500, autocomplete: 'off' });
  const keep = h('button', { type: 'button' }, 'Do not stop');
  const stop = h('button', { type: 'submit', class: 'danger' }, 'Stop the session');
  const form = h(
    'form',
    { method: 'dialog' },
    h('h2', { id: 'stop-question' }, 'Stop this session for good?'),
    consequence,
    h('label', { for: 'stop-reason' }, 'Reason (may be left out)'),
    reason,
    h('div', { class: 'dialog-buttons' }, keep, stop),
  );
  const element = h('dialog', { 'aria-labelledby': 'stop-question', class: 'stop-dialog' }, form);
  keep.addEventListener('click', () => element.close());
  form.addEventListener('submit', () => (element.returnValue = 'stop'));

  return {
    element,
    ask(title) {
      setText(
        consequence,
        `“${title}” cannot be started again. Its transfers end, and the unfinished round is dropped.`,
      );
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
