/**
 * The session plan: everything that coordinator and clients must agree on before a round, in one document whose
 * SHA-256 both sides sign. Whoever changes a number has another session.
 */
import { z } from 'zod';
import { MOST_BINS } from '../metrics/score-histogram.ts';

const column = z.string().min(1).max(200);

/** How one input column becomes numbers. No vocabulary or statistic of anybody's rows is in it. */
export const featureSchema = z.discriminatedUnion('kind', [
  /** One-hot of the hour (24), ISO weekday (7) or month (12) of a timestamp. */
  z.strictObject({ kind: z.literal('time-part'), column, part: z.enum(['hour', 'weekday', 'month']) }),
  /** (value − center) / scale, one input. */
  z.strictObject({ kind: z.literal('number'), column, center: z.number(), scale: z.number().positive() }),
  /** One-hot of SHA-256(value) mod `buckets`: no list of anybody's values has to be shared. */
  z.strictObject({ kind: z.literal('hashed-category'), column, buckets: z.int().min(2).max(4096) }),
]);
export type Feature = z.infer<typeof featureSchema>;

/** Record-level DP-SGD (Abadi et al. 2016): unit one row, add/remove adjacency, Poisson sampling. */
const recordPrivacySchema = z.strictObject({
  unit: z.literal('record'),
  adjacency: z.literal('add-remove'),
  /** σ: the noise's standard deviation is σ·C. */
  noiseMultiplier: z.number().positive(),
  /** C: the L2 norm that every example's gradient is clipped to. Gradients are float32: far from 1 they could not be. */
  clipNorm: z.number().min(1e-6).max(1e6),
  /** δ at which ε is counted. */
  delta: z.number().gt(0).lt(1),
});
export type RecordPrivacy = z.infer<typeof recordPrivacySchema>;

/**
 * All that one organisation contributes to a round is hidden by Skellam noise of which each member adds a share under its
 * mask (Agarwal, Kairouz, Liu 2021). Training itself is without noise.
 */
const organisationPrivacySchema = z.strictObject({
  unit: z.literal('organisation'),
  adjacency: z.literal('replace-one', {
    error:
      'Who takes part is known to everybody, so adding or removing an organisation cannot be hidden: plan replace-one.',
  }),
  /**
   * z: what is left of the sum's noise with the fewest survivors, once those who collude have subtracted theirs, has the
   * standard deviation z·C in each value, where C is secureAggregation.clip. Exchanging an organisation moves the sum by up
   * to 2C.
   */
  noiseMultiplier: z.number().min(0.01).max(1e6),
  /** Survivors that may share what they know with whoever looks; a fellow member knows at least its own noise. */
  colluding: z.int().min(0).max(100_000).default(1),
  /** δ at which ε is counted. */
  delta: z.number().gt(0).lt(1),
});
export type OrganisationPrivacy = z.infer<typeof organisationPrivacySchema>;

/** Whose contribution is hidden: one row of a partner, or all of the partner. */
export const privacySchema = z.discriminatedUnion('unit', [recordPrivacySchema, organisationPrivacySchema]);
export type PrivacyParameters = z.infer<typeof privacySchema>;

export const strategySchema = z.discriminatedUnion('name', [
  /** McMahan et al. 2017; serverLearningRate 1 is plain averaging. */
  z.strictObject({ name: z.literal('fedavg'), serverLearningRate: z.number().positive().default(1) }),
  /** Reddi et al. 2021, Algorithm 2 (FedAdam), symbols as there: η, β₁, β₂, τ. */
  z.strictObject({
    name: z.literal('fedadam'),
    serverLearningRate: z.number().positive(),
    beta1: z.number().min(0).lt(1).default(0.9),
    beta2: z.number().min(0).lt(1).default(0.99),
    tau: z.number().positive().default(1e-3),
  }),
]);
export type StrategyParameters = z.infer<typeof strategySchema>;

/** The coordinator gets the sum of a cohort's updates and no update: see fl-core/src/secure-aggregation. */
export const secureAggregationSchema = z
  .strictObject({
    /** `honest-server`: the coordinator follows the protocol but looks. `active-server`: it may send anything. */
    mode: z.enum(['honest-server', 'active-server']),
    /** C: the L2 norm that a member's update is clipped to before it is rounded to integers, in parameter units. */
    clip: z.number().positive().max(1e9),
    /** Bits of a value on the wire. The grid is the finest with which sums do not wrap around (secureEncoding). */
    bits: z.int().min(12).max(32).default(24),
    /** Upper bound of the probability that any value of a round's sum wraps around. */
    wrapProbability: z.number().gt(0).max(0.01).default(1e-6),
    /** Members that each member shares masks and secrets with (even); null: all of them. */
    degree: z.int().min(4).multipleOf(2).nullable().default(null),
    /** How long a step without training may take: keys, shares, confirmation, unmasking. */
    stepTimeoutSeconds: z.number().positive().max(86_400).default(60),
  })
  .refine(({ mode, degree }) => mode === 'honest-server' || degree === null, {
    message: 'the active-server mode needs everybody linked with everybody: leave degree out',
  });
export type SecureAggregationParameters = z.infer<typeof secureAggregationSchema>;

export const metricNames = ['auc', 'logLoss'] as const;

/** A noised histogram of predicted scores by label: see ../metrics/score-histogram.ts. */
const evaluationNoiseSchema = z.strictObject({
  /** Equal bins of the predicted probability, for each label. */
  bins: z.int().min(2).max(MOST_BINS),
  /** σ of the discrete Gaussian on every count; one row moves one count by 1. */
  noiseMultiplier: z.number().min(0.1).max(1e6),
});

const planFields = z.strictObject({
  version: z.literal(1),
  sessionId: z.uuid(),
  title: z.string().min(1).max(200),
  /** Participant id of the coordinator. */
  coordinator: z.string().min(1),
  /** IRI of the purpose that the agreements must allow. */
  purpose: z.string().min(1),
  /** Binary classification: is `column` at least `atLeast`? */
  label: z.strictObject({ column, atLeast: z.number() }),
  features: z.array(featureSchema).min(1).max(256),
  /** A multilayer perceptron: inputs → hidden… → 1 logit. */
  model: z.strictObject({
    kind: z.literal('mlp'),
    hidden: z.array(z.int().min(1).max(8192)).max(8),
    activation: z.enum(['relu', 'tanh']),
    /** 32 bytes, hex: the initial parameters follow from it (initialParameters). */
    seed: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  /** Rounds planned; the coordinator may ask for more, the agreements decide. */
  rounds: z.int().min(1).max(100_000),
  /** What a client does in a round: `steps` steps of SGD on Poisson samples of rate `samplingRate`. */
  local: z.strictObject({
    steps: z.int().min(1).max(100_000),
    /** q: the probability that a row is in a step's batch. */
    samplingRate: z.number().gt(0).max(1),
    learningRate: z.number().positive(),
    /**
     * What a step's sum of gradients is divided by, at every partner. Without it each divides by the rows that it expects
     * in a batch, q·n, so that the noise in its updates tells n: under privacy of records n is then taken to be known.
     */
    divisor: z.number().min(1e-6).max(1e12).exactOptional(),
  }),
  privacy: privacySchema.nullable(),
  /** null: the coordinator sees every update. Otherwise the minimum cohort is at least 2. */
  secureAggregation: secureAggregationSchema.nullable().default(null),
  strategy: strategySchema,
  /** A round with fewer updates than this ends without output. */
  minimumCohort: z.int().min(1),
  /** After this many seconds a round closes with what it has. Progress of a client extends nothing for others. */
  roundTimeoutSeconds: z.number().positive(),
  earlyStop: z
    .strictObject({ metric: z.enum(metricNames), patience: z.int().min(1), minDelta: z.number().min(0) })
    .nullable(),
  /** Rows kept out of training: a row is held out when SHA-256(salt, row number) says so. */
  evaluation: z.strictObject({
    holdOut: z.number().min(0).max(0.9),
    salt: z.string().min(1),
    metrics: z.array(z.enum(metricNames)),
    /** After every how many rounds with output the model is evaluated. */
    every: z.int().min(1).max(100_000).default(1),
    /**
     * Each partner sends a histogram of its scores with this noise, and pays for it; metrics follow from the histogram.
     * With privacy there is no evaluation without it. null: exact metrics, where there is no privacy to keep.
     */
    noise: evaluationNoiseSchema.nullable().default(null),
  }),
});

export const NEEDS_SECURE_AGGREGATION =
  'Members add the noise that hides an organisation together: without secure aggregation the coordinator sees each ' +
  'update with only its own share. Plan secure aggregation, or privacy of records.';

export const sessionPlanSchema = planFields.refine(
  ({ privacy, secureAggregation }) => privacy?.unit !== 'organisation' || secureAggregation !== null,
  { path: ['privacy'], message: NEEDS_SECURE_AGGREGATION },
);
export type SessionPlan = z.infer<typeof sessionPlanSchema>;
/** A plan as an operator writes it: the coordinator adds the rest. */
export type SessionPlanDraft = Omit<z.input<typeof sessionPlanSchema>, 'version' | 'sessionId' | 'coordinator'>;
