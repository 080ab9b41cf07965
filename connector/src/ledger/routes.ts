import type { Decision } from '@foedus/usage-policies';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import { FoedusError, problemOf } from '../errors.ts';
import { reservationRequestSchema, usageRequestSchema, type DecisionView } from '../management/model.ts';
import type { UsageControl } from './usage-control.ts';

/** No usage request comes near this; the basis of a charge is the largest part of it. */
const LARGEST_BODY_BYTES = 256 * 1024;

const decisionRequestSchema = z.strictObject({ agreementId: z.string().min(1).max(2048), request: usageRequestSchema });

/**
 * The operator's API of usage control, below `/usage`: what a trainer calls before it releases anything.
 * Whoever mounts it checks the operator's token first.
 */
export function usageRoutes(usageControl: UsageControl): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    if (!(error instanceof FoedusError)) throw error;
    const { status, body } = problemOf(error);
    return c.json(body, status);
  });
  app.use(
    '/usage/*',
    bodyLimit({
      maxSize: LARGEST_BODY_BYTES,
      onError: () => {
        throw new FoedusError('too-large', `The request is larger than ${LARGEST_BODY_BYTES} bytes. Send less.`);
      },
    }),
  );

  app.post('/usage/decisions', async (c) => {
    const { agreementId, request } = parse(decisionRequestSchema, await c.req.text());
    return c.json(viewOf(usageControl.decide(agreementId, request)));
  });
  app.post('/usage/reservations', async (c) => {
    const { basis, ...use } = parse(reservationRequestSchema, await c.req.text());
    const { entry, decision } = usageControl.reserve({ ...use, ...(basis && { basis }) });
    return c.json({ entry, decision: viewOf(decision) });
  });
  app.post('/usage/reservations/:id/commit', (c) => c.json(usageControl.commit(c.req.param('id'))));
  app.post('/usage/reservations/:id/refund', (c) => c.json(usageControl.refund(c.req.param('id'))));
  app.get('/usage/accounts/:agreementId', (c) => c.json(usageControl.account(c.req.param('agreementId'))));
  return app;
}

/** What leaves the node of a decision: the plan stays inside. */
function viewOf({ permit, reasons, policyDigest }: Decision): DecisionView {
  return { permit, reasons: [...reasons], policyDigest };
}

function parse<T>(schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FoedusError('bad-request', 'The body is not JSON. Send a JSON object.', { cause });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new FoedusError('bad-request', `The request does not fit: ${z.prettifyError(result.error)}`);
}
