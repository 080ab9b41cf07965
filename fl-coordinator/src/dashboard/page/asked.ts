/** What a panel asks the coordinator for once, when its session is shown. */
import type { SessionView } from '../../session/view.ts';

/** What has failed is asked again after this, as long as the session is shown. */
const AGAIN_AFTER_MS = 10_000;

/**
 * @param ask is called when another session is shown, and again some time after it has failed
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
  let shown = '';
  const load = async (view: SessionView): Promise<void> => {
    try {
      const answer = await ask(view.id);
      // Another session may be shown by now.
      if (shown === view.id) on.known(view, answer);
    } catch (error) {
      if (shown !== view.id) return;
      on.failed(view, error instanceof Error ? error.message : String(error));
      setTimeout(() => {
        if (shown === view.id) void load(view);
      }, AGAIN_AFTER_MS);
    }
  };
  return (view) => {
    if (shown === view.id) return;
    shown = view.id;
    on.waiting(view);
    void load(view);
  };
}
