import { pathToFileURL } from 'node:url';
import type { Logger } from 'pino';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import type { Negotiation } from '../management/model.ts';
import type { NegotiationDecisions } from './decisions.ts';

/** What a decision plugin is given. */
export interface DecisionContext {
  /** What would be decided without the plugin. */
  readonly defaults: NegotiationDecisions;
  /** Who this node is. */
  readonly participantId: string;
  readonly logger: Logger;
}

/**
 * What the module of a decision plugin exports by default. What it leaves out is decided by the defaults.
 *
 * @example
 * ```js
 * export default ({ defaults }) => ({
 *   onRequest: async (negotiation) =>
 *     (await knownPartner(negotiation.counterPartyId))
 *       ? defaults.onRequest(negotiation)
 *       : { kind: 'ask', why: 'We do not know them yet.' },
 * });
 * ```
 */
export type DecisionPlugin = (
  context: DecisionContext,
) => Partial<NegotiationDecisions> | Promise<Partial<NegotiationDecisions>>;

/** A plugin that takes longer is taken for hung, in milliseconds. */
const LONGEST = 30_000;

const terminate = z.strictObject({ kind: z.literal('terminate'), reason: z.string().min(1).max(2_000) });
const wait = z.strictObject({ kind: z.literal('wait') });
const ask = z.strictObject({ kind: z.literal('ask'), why: z.string().min(1).max(2_000) });
const rules = z.record(z.string(), z.unknown());
const requestDecision = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('agree'), offer: rules.optional() }),
  z.strictObject({ kind: z.literal('offer'), offer: rules }),
  terminate,
  wait,
  ask,
]);
const offerDecision = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('accept') }),
  z.strictObject({ kind: z.literal('request'), offer: rules }),
  terminate,
  wait,
  ask,
]);
const stepDecision = z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('proceed') }), terminate, wait]);
const isFunction = z.custom<(negotiation: Negotiation) => unknown>((value) => typeof value === 'function');
const pluginSchema = z.object({
  onRequest: isFunction.optional(),
  onOffer: isFunction.optional(),
  onStep: isFunction.optional(),
});

/**
 * Loads a plugin. What it decides is checked; where it fails, answers nonsense or does not answer in time, a person is
 * asked, so that a fault in it neither binds the organisation nor stops the connector.
 *
 * @param file absolute path of an ES module, `.mjs`, `.js` or `.ts`
 * @throws FoedusError `bad-config` when there is no such module, or it exports something else
 */
export async function loadDecisions(file: string, context: DecisionContext): Promise<NegotiationDecisions> {
  const { defaults, logger } = context;
  let plugin: z.output<typeof pluginSchema>;
  try {
    const { default: create } = (await import(pathToFileURL(file).href)) as { default?: unknown };
    if (typeof create !== 'function') throw new Error('its default export is no function');
    const parsed = pluginSchema.safeParse(await (create as DecisionPlugin)(context));
    if (!parsed.success) throw new Error('its default export does not return an object of functions');
    plugin = parsed.data;
  } catch (cause) {
    throw new FoedusError(
      'bad-config',
      `negotiation.decisions: ${file} is no decision plugin: ${(cause as Error).message}. It has to export a function by default that returns { onRequest, onOffer, onStep }, each optional.`,
      { cause },
    );
  }
  const { onRequest, onOffer, onStep } = plugin;

  /** Lets the plugin decide, or a person where it cannot. */
  const guarded = async <D>(
    name: string,
    decide: (negotiation: Negotiation) => unknown,
    schema: z.ZodType<D>,
    negotiation: Negotiation,
  ): Promise<D | z.output<typeof ask>> => {
    try {
      return await decided(name, decide, schema, negotiation);
    } catch (error) {
      logger.error({ err: error, negotiation: negotiation.id }, 'the decision plugin failed; a person is asked');
      return { kind: 'ask', why: `The decision plugin failed: ${(error as Error).message}`.slice(0, 2_000) };
    }
  };
  return {
    onRequest: onRequest
      ? (negotiation) => guarded('onRequest', onRequest, requestDecision, negotiation)
      : (negotiation) => defaults.onRequest(negotiation),
    onOffer: onOffer
      ? (negotiation) => guarded('onOffer', onOffer, offerDecision, negotiation)
      : (negotiation) => defaults.onOffer(negotiation),
    // Here nobody can be asked: an error is tried again, as any other failure of a step.
    ...(onStep ? { onStep: (negotiation) => decided('onStep', onStep, stepDecision, negotiation) } : {}),
  };
}

async function decided<D>(
  name: string,
  decide: (negotiation: Negotiation) => unknown,
  schema: z.ZodType<D>,
  negotiation: Negotiation,
): Promise<D> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} did not answer within ${LONGEST / 1000} s`)), LONGEST);
  });
  try {
    // A copy: what the plugin does to it stays its own affair.
    const parsed = schema.safeParse(await Promise.race([decide(structuredClone(negotiation)), late]));
    if (parsed.success) return parsed.data;
    throw new Error(`${name} answered something that is no decision: ${z.prettifyError(parsed.error)}`);
  } finally {
    clearTimeout(timer);
  }
}
