import { Hono } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import { callerOf } from '../identity/index.ts';
import { answerProblem } from '../management/requests.ts';
import type { SignedAgreement } from '../management/model.ts';
import { faults } from '../protocol/messages.ts';
import { readJson, type JsonLimits } from '../protocol/json-body.ts';
import type { Duties } from './duties.ts';
import { signedReceiptSchema, useNoticeSchema, type UseNotice } from './model.ts';

/** A receipt is a few hundred bytes and a certificate; a notice may list columns. */
const limits: JsonLimits = { maxBytes: 256 * 1024, maxDepth: 16 };

/** `POST /duties/:agreementId/receipts` and `/notices` for other connectors, over mutual TLS. Both may be repeated. */
export function dutyRoutes(options: {
  duties: Pick<Duties, 'receive'>;
  agreements: { get(id: string): SignedAgreement | undefined };
  noticed: (from: string, notice: UseNotice) => void;
  logger: Logger;
}): Hono {
  const { duties, agreements, noticed, logger } = options;
  const app = new Hono({ strict: false });
  app.onError((error, c) => answerProblem(c, error, logger));

  app.post('/duties/:agreementId/receipts', async (c) => {
    const caller = callerOf(c);
    const signed = parse(signedReceiptSchema, await readJson(c.req.raw, limits));
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
