/** Start, pause, resume, one more round, stop. */
import type { SessionState, SessionView } from '../../session/view.ts';
import { h, setAttribute, setText } from './element.ts';
import type { Part } from './element.ts';
import { act } from './operator-api.ts';
import type { Action } from './operator-api.ts';
import { createStopDialog } from './stop-dialog.ts';

type Name = Action['name'];

/** In which states each control can be used; the same as the coordinator's table (session/session-machine.ts). */
const usable: Readonly<Record<Name, readonly SessionState[]>> = {
  start: ['planned', 'failed'],
  pause: ['running'],
  resume: ['paused'],
  rounds: ['planned', 'recruiting', 'running', 'paused', 'completed'],
  stop: ['planned', 'recruiting', 'running', 'paused'],
};

/** Start, pause and resume share one place: the one that is, or is about to be, what an operator would want. */
const first: Readonly<Record<SessionState, Name | null>> = {
  planned: 'start',
  recruiting: 'pause',
  running: 'pause',
  paused: 'resume',
  completed: null,
  stopped: null,
  failed: 'start',
};

const labels: Readonly<Record<Name, string>> = {
  start: 'Start',
  pause: 'Pause',
  resume: 'Resume',
  rounds: 'One more round',
  stop: 'Stop…',
};

const names = ['start', 'pause', 'resume', 'rounds', 'stop'] as const;

/**
 * @param onView is given the session as it is after an action.
 * @returns the row of buttons, with the words of a refused action below it.
 */
export function createControls(onView: (view: SessionView) => void): Part<SessionView> {
  let view: SessionView | null = null;
  let busy = false;
  const dialog = createStopDialog();
  const problem = h('p', { class: 'problem', role: 'alert' });

  const buttons = new Map(
    names.map((name) => {
      const look = name === 'start' || name === 'resume' ? 'primary' : name === 'stop' ? 'danger-quiet' : '';
      const button = h('button', { type: 'button', class: look }, labels[name]);
      button.addEventListener('click', () => void press(name));
      return [name, button] as const;
    }),
  );

  const show = (): void => {
    if (view === null) return;
    const { state } = view;
    const shown = names.filter((name) => name === 'rounds' || name === 'stop' || name === first[state]);
    const focused = names.find((name) => buttons.get(name) === document.activeElement);
    for (const [name, button] of buttons) {
      button.hidden = !shown.includes(name);
      // Not `disabled`: that would throw away the keyboard's focus while an action runs.
      setAttribute(button, 'aria-disabled', busy || !usable[name].includes(state) ? 'true' : null);
    }
    if (focused !== undefined && !shown.includes(focused)) buttons.get(shown[0] ?? 'rounds')?.focus();
  };

  const perform = async (sessionId: string, action: Action): Promise<void> => {
    busy = true;
    setText(problem, '');
    show();
    try {
      onView(await act(sessionId, action));
    } catch (error) {
      setText(problem, error instanceof Error ? error.message : String(error));
    } finally {
      busy = false;
      show();
    }
  };

  const press = async (name: Name): Promise<void> => {
    if (view === null || busy || !usable[name].includes(view.state)) return;
    const { id, title } = view;
    if (name === 'rounds') await perform(id, { name, additional: 1 });
    else if (name !== 'stop') await perform(id, { name });
    else {
      const reason = await dialog.ask(title);
      if (reason !== null) await perform(id, { name, reason });
    }
  };

  const row = h(
    'div',
    { class: 'control-row', role: 'group', 'aria-label': 'Controls of the session' },
    ...buttons.values(),
  );
  return {
    element: h('div', { class: 'controls' }, row, problem, dialog.element),
    update(next) {
      if (view !== null && view.id !== next.id) setText(problem, '');
      view = next;
      show();
    },
  };
}
