import { Hono } from 'hono';
import type { DataFlow } from '../transfer/data-flow.ts';
import type { PullDataFlow } from './pull-data-flow.ts';

/**
 * A data flow whose code (a query engine, Arrow) is loaded when its first transfer starts or its first rows are asked
 * for: a connector that only negotiates starts in half the time and memory.
 *
 * @param formats those of the flow that `load` makes
 */
export function onDemand(formats: DataFlow['formats'], load: () => Promise<PullDataFlow>): PullDataFlow {
  let loaded: PullDataFlow | undefined;
  let loading: Promise<PullDataFlow> | undefined;
  const get = async (): Promise<PullDataFlow> => {
    loading ??= load();
    try {
      loaded = await loading;
      if (loaded.flow.formats.join() !== formats.join())
        throw new Error(`this flow serves ${loaded.flow.formats.join()}`);
      return loaded;
    } catch (error) {
      loading = undefined;
      throw error;
    }
  };
  return {
    flow: {
      formats,
      start: async (transfer) => await (await get()).flow.start(transfer),
      // Nothing runs before it is loaded.
      stop: (transfer) => loaded?.flow.stop(transfer),
    },
    routes: new Hono().all('/data/*', async (c) => await (await get()).routes.fetch(c.req.raw, c.env)),
    [Symbol.asyncDispose]: async () => {
      await (await loading?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}
