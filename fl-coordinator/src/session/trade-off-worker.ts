/** The thread that works out one trade-off: see trade-offs.ts. */
import { type Contract, type SessionPlan, sessionTradeOff } from '@foedus/fl-core';
import { parentPort, workerData } from 'node:worker_threads';

const { plan, contracts } = workerData as { readonly plan: SessionPlan; readonly contracts: readonly Contract[] };
parentPort?.postMessage(sessionTradeOff(plan, contracts));
