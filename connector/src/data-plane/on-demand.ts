import { Hono } from 'hono';
import type { Transfer } from '../management/model.ts';
import type { DataFlow } from '../transfer/data-flow.ts';
import type { DataPlane } from './data-plane.ts';

/**
 * A data plane whose code (a query engine, Arrow) is loaded when its first transfer starts or its first rows are asked
 * for: a connector that only negotiates starts in half the time and memory.
 *
 * @param formats those of the flows that `load` makes
 * @param failed told why it could not be loaded for a transfer that has started
 */
export function onDemand(
  formats: readonly string[],
  load: () => Promise<DataPlane>,
  failed: (error: unknown, transfer: Transfer) => void,
): DataPlane {
  let loaded: DataPlane | undefined;
  let loading: Promise<DataPlane> | undefined;
  const get = async (): Promise<DataPlane> => {
    loading ??= load();
    try {
      loaded = await loading;
      return loaded;
    } catch (error) {
      loading = undefined;
      throw error;
    }
  };
  const flowOf = ({ flows }: DataPlane, format: string): DataFlow => {
    const flow = flows.find((one) => one.formats.includes(format));
    if (flow === undefined) throw new Error(`the data plane has no flow of the format ${format}`);
    return flow;
  };
  const flow: DataFlow = {
    formats,
    start: async (transfer) => await flowOf(await get(), transfer.format).start(transfer),
    started: (transfer) => {
      get().then(
        (plane) => flowOf(plane, transfer.format).started?.(transfer),
        (error: unknown) => failed(error, transfer),
      );
    },
    // Nothing runs before it is loaded.
    stop: (transfer) => {
      if (loaded !== undefined) flowOf(loaded, transfer.format).stop(transfer);
    },
    // What ended before it is loaded is found when it is.
    ended: (transfer) => {
      if (loaded !== undefined) flowOf(loaded, transfer.format).ended?.(transfer);
    },
  };
  return {
    flows: [flow],
    routes: new Hono().all('/data/*', async (c) => await (await get()).routes.fetch(c.req.raw, c.env)),
    [Symbol.asyncDispose]: async () => {
      await (await loading?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}
