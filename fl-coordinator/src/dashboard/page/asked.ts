/** What a panel asks the coordinator for once, when its session is shown. */
import type { SessionView } from '../../session/view.ts';

/**
 * @param ask is called when another session is shown, and again with its next change where it failed
 * @returns a function to call with every change of the shown session
 */
export function askedOnce<T>(
  ask: (sessionId: string) => Promise<T>,
  on: {
    readonly waiting: (view: SessionView) => void;
    readonly known: (view: SessionView, answer: T) => void;
    readonly failed: (view: SessionView, words: string) => void;
  },
): (view: SessionView) => void {
  let asked = '';
  const load = async (view: SessionView): Promise<void> => {
    try {
      const answer = await ask(view.id);
      // Another session may be shown by now.
      if (asked === view.id) on.known(view, answer);
    } catch (error) {
      if (asked !== view.id) return;
      asked = '';
      on.failed(view, error instanceof Error ? error.message : String(error));
    }
  };
  return (view) => {
    if (asked === view.id) return;
    asked = view.id;
    on.waiting(view);
    void load(view);
  };
}
