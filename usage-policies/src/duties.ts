/** Duties, obligations, consequences and remedies: who has to do what, and whether it was done (ODRL 2.2 section 2.6). */
import { isPartOf } from './membership.ts';
import type { Actions } from './actions.ts';
import type { DutyKind, DutyReport, DutyState, DutyTiming, UsageEvent, UsageRequest, UsageState } from './model.ts';
import { spend, type Evaluation, type Lookup, type Test } from './operands/operand.ts';
import type { DutyMode } from './options.ts';
import { shown } from './wording.ts';

/** A set of conditions as a duty needs them. */
export interface DutyConditions {
  readonly tests: readonly Test[];
  readonly expiring: readonly Test[];
  readonly lasting: readonly Test[];
}

export interface CompiledDuty {
  readonly kind: DutyKind;
  readonly id: string | undefined;
  /** See dutyKeys. */
  readonly key: string;
  /** As written, for reports. */
  readonly name: string;
  /** Canonical. */
  readonly action: string;
  readonly timing: DutyTiming;
  /** Who has to; undefined: whoever uses, or for an obligation anybody. */
  readonly by: string | undefined;
  readonly target: string | undefined;
  /** Parties in roles that say who does it or for whom; an event that names one must name the same. */
  readonly parties: Readonly<Record<string, string>>;
  readonly refinements: DutyConditions;
  readonly targetRefinements: readonly Test[];
  readonly constraints: DutyConditions;
  readonly consequences: readonly CompiledDuty[];
  readonly actions: Actions;
  readonly exercised: Lookup;
}

/** What a duty belongs to. */
export interface DutyContext {
  readonly request: UsageRequest;
  readonly state: UsageState;
  readonly evaluation: Evaluation;
  readonly mode: DutyMode;
  /** The asset of the rule that the duty is of. */
  readonly target: string | undefined;
  /** Uses of the permission that the duty is of; undefined for other duties and without a history. */
  readonly uses: readonly UsageEvent[] | undefined;
  /** What starts the clock of a duty that is due some time after something. */
  readonly started: Lookup;
}

interface Standing {
  readonly state: DutyState;
  readonly reason: string;
}

/** The duty and what follows from it, as they stand now. The first report is the duty's own. */
export function reportDuty(duty: CompiledDuty, context: DutyContext): DutyReport[] {
  const { standing, violated, since } = stand(duty, context);
  const followed = violated
    ? duty.consequences.flatMap((consequence) => reportDuty(consequence, afterwards(context, since)))
    : [];
  return [
    {
      kind: duty.kind,
      ...(duty.id === undefined ? {} : { id: duty.id }),
      key: duty.key,
      action: duty.name,
      timing: duty.timing,
      state: standing.state,
      ...(duty.by === undefined ? {} : { by: duty.by }),
      ...(duty.target === undefined ? {} : { target: duty.target }),
      reason: standing.reason,
    },
    ...followed,
  ];
}

/** Only what is done after a violation makes up for it. */
function afterwards(context: DutyContext, since: number | undefined): DutyContext {
  const { state } = context;
  if (since === undefined || state.history === undefined) return context;
  return { ...context, state: { ...state, history: state.history.filter(({ at }) => at.getTime() >= since) } };
}

/**
 * ODRL 2.2 section 2.6.3: a duty is fulfilled when its constraints are satisfied and its action was exercised with all
 * refinements satisfied. Once it was not fulfilled in time, its consequences have to be fulfilled as well, and its
 * time limits no longer count, so that it still can be.
 */
function stand(
  duty: CompiledDuty,
  context: DutyContext,
): { standing: Standing; violated: boolean; since?: number | undefined } {
  const { request, state, evaluation, mode } = context;
  evaluation.exercised = duty.exercised;
  evaluation.started = context.started;
  const said = state.duties && (own(state.duties, duty.id ?? duty.key) ?? own(state.duties, duty.key));
  const is = (standing: DutyState, reason: string): Standing => ({ state: standing, reason });
  if (said === 'fulfilled')
    return { standing: is('fulfilled', `${subject(duty)} is fulfilled, as was established.`), violated: false };

  const performances = performed(duty, context);
  const inTime = performances.filter((event) => holds(duty.refinements.tests, asRequest(event), context));
  const now = truthOf(duty.constraints.tests, request, context);
  const done =
    inTime.length > 0 &&
    (now === 'holds' || inTime.some((event) => holds(duty.constraints.tests, asRequest(event), context)));
  const expired =
    !done &&
    said !== 'not-set' &&
    [...duty.constraints.expiring, ...duty.refinements.expiring].some((test) => failsNow(test, context));

  // In ODRL's reading whoever uses before the duty is fulfilled has not fulfilled it (section 2.6.6, example 23).
  const early =
    mode === 'precondition' && duty.kind === 'duty' && duty.timing === 'before'
      ? firstWithout(context.uses ?? [], inTime)
      : undefined;
  const violated = said === 'violated' || expired || (early !== undefined && duty.consequences.length > 0);

  if (violated) {
    const since = expired || said === 'violated' ? undefined : early;
    const late = performances.some((event) => holds(duty.refinements.lasting, asRequest(event), context));
    const rest = duty.consequences.map((consequence) => stand(consequence, afterwards(context, since)).standing.state);
    if (rest.length > 0 && (late || done) && rest.every((each) => each === 'fulfilled')) {
      return {
        standing: is('fulfilled', `${subject(duty)} and its consequences are fulfilled.`),
        violated: true,
        since,
      };
    }
    return { standing: is('violated', `${subject(duty)} was not fulfilled in time.`), violated: true, since };
  }
  if (done) return { standing: is('fulfilled', `${subject(duty)} is fulfilled.`), violated: false };
  if (now === 'fails' && said !== 'not-set')
    return { standing: is('inactive', `${subject(duty)} asks for nothing now.`), violated: false };
  return {
    standing: is(
      'not-set',
      `${subject(duty)} is not fulfilled${state.history === undefined ? ': there is no record of it' : ''}.`,
    ),
    violated: false,
  };
}

function subject(duty: CompiledDuty): string {
  return `The ${duty.kind} to ${shown(duty.name)}`;
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** What was done of the duty's action by whom it binds on its asset, up to now, refinements aside. */
function performed(duty: CompiledDuty, { request, state, evaluation, target }: DutyContext): UsageEvent[] {
  const { history = [] } = state;
  spend(evaluation, history.length);
  const by = duty.by ?? (duty.kind === 'obligation' ? undefined : request.assignee);
  const on = duty.target ?? target;
  return history.filter((event) => {
    if (event.at.getTime() > evaluation.now) return false;
    const action = duty.actions.resolve(event.action);
    if (action === undefined || !duty.actions.includes(duty.action, action)) return false;
    if (event.rule !== undefined && event.rule !== duty.id) return false;
    if (by !== undefined && isPartOf(event.by, by, state, evaluation, 'fails') !== 'holds') return false;
    if (
      event.target !== undefined &&
      on !== undefined &&
      isPartOf(event.target, on, state, evaluation, 'fails') !== 'holds'
    ) {
      return false;
    }
    if (duty.targetRefinements.length > 0) {
      const described = own(state.descriptions ?? {}, event.target ?? on ?? '');
      if (!holds(duty.targetRefinements, { ...asRequest(event), values: described ?? {} }, { state, evaluation }))
        return false;
    }
    return Object.entries(duty.parties).every(([role, party]) => {
      const named = own(event.values ?? {}, role);
      return named === undefined || named === party;
    });
  });
}

/** An event as the request that it answers, so that constraints can be tested on it. */
export function asRequest({ action, by, at, target, values }: UsageEvent): UsageRequest {
  return { action, assignee: by, at, ...(target === undefined ? {} : { target }), values: values ?? {} };
}

type Scene = Pick<DutyContext, 'state' | 'evaluation'>;

function truthOf(
  tests: readonly Test[],
  request: UsageRequest,
  { state, evaluation }: Scene,
): 'holds' | 'fails' | 'unknown' {
  spend(evaluation, tests.length);
  let open = false;
  for (const test of tests) {
    const { outcome } = test(request, state, evaluation);
    if (outcome === 'fails') return 'fails';
    if (outcome === 'unknown') open = true;
  }
  return open ? 'unknown' : 'holds';
}

function holds(tests: readonly Test[], request: UsageRequest, scene: Scene): boolean {
  return truthOf(tests, request, scene) === 'holds';
}

function failsNow(test: Test, { request, state, evaluation }: DutyContext): boolean {
  return test(request, state, evaluation).outcome === 'fails';
}

/** When the first use was that came before the duty was fulfilled; undefined: there was none. */
function firstWithout(uses: readonly UsageEvent[], fulfilling: readonly UsageEvent[]): number | undefined {
  const earliest = (events: readonly UsageEvent[]): number | undefined =>
    events.length === 0
      ? undefined
      : events.reduce((least, { at }) => Math.min(least, at.getTime()), Number.POSITIVE_INFINITY);
  const use = earliest(uses);
  const fulfilled = earliest(fulfilling);
  return use !== undefined && (fulfilled === undefined || use < fulfilled) ? use : undefined;
}

/** What a state of a duty does to the permission that it is of. */
export function lets(state: DutyState, timing: DutyTiming, mode: DutyMode): boolean {
  if (state === 'violated') return false;
  return mode === 'not-violated' || timing === 'after' || state !== 'not-set';
}
