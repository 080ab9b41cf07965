import { Hono } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import { callerOf } from '../identity/index.ts';
import { answerProblem } from '../management/requests.ts';
import type { SignedAgreement } from '../management/model.ts';
import { faults } from '../protocol/messages.ts';
import { readJson, type JsonLimits } from '../protocol/json-body.ts';
import { createAllowance } from './allowance.ts';
import type { Duties } from './duties.ts';
import { signedReceiptSchema, useNoticeSchema, type UseNotice } from './model.ts';

/** A receipt is a few hundred bytes and a certificate; a notice may list columns. */
const limits: JsonLimits = { maxBytes: 256 * 1024, maxDepth: 16 };

/** What is kept of one participant's receipts and notices in an hour, in bytes: tens of thousands of them. */
const KEPT_BYTES = 16 * 1024 * 1024;
const HOUR = 3_600_000;

/** `POST /duties/:agreementId/receipts` and `/notices` for other connectors, over mutual TLS. Both may be repeated. */
export function dutyRoutes(options: {
  duties: Pick<Duties, 'receive'>;
  agreements: { get(id: string): SignedAgreement | undefined };
  noticed: (from: string, notice: UseNotice) => void;
  clock: () => Date;
  logger: Logger;
}): Hono {
  const { duties, agreements, noticed, clock, logger } = options;
  const allowance = createAllowance({ most: KEPT_BYTES, overMs: HOUR, clock });
  /** @throws FoedusError `unavailable` for what would fill the store */
  const admit = (caller: string, kept: unknown): void => {
    if (allowance.take(caller, JSON.stringify(kept).length)) return;
    throw new FoedusError('unavailable', `This node keeps ${KEPT_BYTES} bytes of you in an hour. Send the rest later.`);
  };
  const app = new Hono({ strict: false });
  app.onError((error, c) => answerProblem(c, error, logger));

  app.post('/duties/:agreementId/receipts', async (c) => {
    const caller = callerOf(c);
    const signed = parse(signedReceiptSchema, await readJson(c.req.raw, limits));
    admit(caller, signed);
    const { receiptDeliveredAt } = await duties.receive(caller, c.req.param('agreementId'), signed);
    return c.json({ receivedAt: receiptDeliveredAt });
  });

  app.post('/duties/:agreementId/notices', async (c) => {
    const caller = callerOf(c);
    const agreementId = c.req.param('agreementId');
    const notice = parse(useNoticeSchema, await readJson(c.req.raw, limits));
    const agreement = agreements.get(agreementId);
    if (agreement === undefined || agreement.counterPartyId !== caller || !agreement.finalized) {
      throw new FoedusError('not-found', `This node has no agreement ${agreementId} with you.`);
    }
    if (notice.agreementId !== agreementId || notice.node !== caller) {
      throw new FoedusError('bad-request', 'The notice is of another agreement or another node. Send your own.');
    }
    admit(caller, notice);
    noticed(caller, notice);
    return c.json({ received: true });
  });
  return app;
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-request', `The message does not fit: ${faults(parsed.error).join('; ')}`);
}
