/**
 * The plan as people write it: schema, defaults, and the errors that point at the field.
 * Meshes bring their own `target`; everything else is here. Published as JSON Schema by `planJsonSchema`.
 */
import { z } from 'zod';
import { type MeshCapabilities, noRouteChecks } from '../domain/capabilities.ts';
import { latency as latencyWords } from '../domain/format.ts';
import type { Check, EvidencePlan, Guard, Millis, Plan, Severities, Target } from '../domain/plan.ts';
import { affinityProblems, sessionAffinity } from './affinity-schema.ts';
import { approvalProblems, approvals, onBehalfOf } from './approval-schema.ts';
import { ASKED, pointerTo, problemsOf, unknownKind } from './document-problems.ts';
import { SEVERITIES } from './severity.ts';
import type { InspectStep } from './step-schema.ts';
import { canonicalSteps, MOST_STEPS, stepProblems, steps, stepsAsPublished } from './step-schema.ts';
import { durationSchema, percentSchema } from './units.ts';
import type { Problem } from './usecases.ts';
import { ANYTHING, notify, outsideProblems, webhooks } from './webhook-schema.ts';

export const LIMITS = { steps: MOST_STEPS, checks: 20, labels: 32, queryLength: 4000, routeLength: 253 } as const;

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const name = z.string().regex(NAME, 'wanted 1 to 63 of a-z, 0-9 and "-", not starting or ending with "-"');
const finite = z.number({
  error: (issue) => (issue.code === 'invalid_type' ? 'wanted a finite number' : undefined),
});
const common = {
  name: name.describe('Unique within the plan; appears in outcomes.'),
  provider: z
    .string()
    .optional()
    .describe("Metrics provider that answers the check. Absent: prometheus for PromQL, else the cluster's usual one."),
  window: durationSchema('1s', '1h').optional().describe('Look-back of one evaluation; analysis.window if absent.'),
  failureLimit: z
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe('Consecutive failed evaluations that roll back; analysis.failureLimit if absent.'),
};
const minSamples = z
  .int()
  .min(1)
  .max(1_000_000)
  .default(20)
  .describe('Requests that the canary needs in the window for its value to count.');

const route = z
  .string()
  .min(1)
  .max(LIMITS.routeLength)
  .regex(/^\P{Cc}*$/u, 'wanted a name without control characters')
  .optional()
  .describe(
    "Requests of this named route alone: a route of the Service's ServiceProfile (linkerd-smi). Absent: all requests.",
  );

const errorRate = z.strictObject({
  ...common,
  kind: z.literal('error-rate'),
  route,
  max: percentSchema().optional().describe('Highest share of failed requests, like "1%".'),
  relative: z
    .strictObject({ maxRatio: finite.min(0).max(1000).default(1), tolerance: percentSchema().prefault('0%') })
    .optional()
    .describe('canary <= stable * maxRatio + tolerance'),
  minSamples,
});
const latency = z.strictObject({
  ...common,
  kind: z.literal('latency'),
  route,
  quantile: finite.gt(0).lt(1).default(0.99),
  max: durationSchema('1ms', '1h').optional().describe('Highest latency at the quantile, like "500ms".'),
  relative: z
    .strictObject({
      maxRatio: finite.min(0).max(1000).default(1),
      tolerance: durationSchema('0ms', '1h').prefault('0ms'),
    })
    .optional(),
  minSamples,
});
const custom = z.strictObject({
  ...common,
  kind: z.literal('prometheus'),
  query: z
    .string()
    .min(1)
    .max(LIMITS.queryLength)
    .describe(
      'PromQL that gives one number. Placeholders: {{namespace}}, {{service}}, {{window}}, {{canary.*}}, {{stable.*}}, {{version.*}}.',
    ),
  max: finite.optional(),
  min: finite.optional(),
  relative: z
    .strictObject({ maxRatio: finite.min(0).max(1000).default(1), tolerance: finite.min(0).default(0) })
    .optional(),
});
const CHECK_KINDS = ['error-rate', 'latency', 'prometheus'] as const;
const check = z.discriminatedUnion('kind', [errorRate, latency, custom], {
  error: unknownKind('check kind', 'kind', CHECK_KINDS),
});

/** Judged against the stable version, so that they suit any service: half as many errors again plus one point, half as slow again plus 50 ms. */
const DEFAULT_CHECKS = [
  { name: 'errors', kind: 'error-rate', relative: { maxRatio: 1.5, tolerance: '1%' } },
  { name: 'latency', kind: 'latency', quantile: 0.99, relative: { maxRatio: 1.5, tolerance: '50ms' } },
] as const;

/** Beside the comparison only what it cannot see in time: outright failure where every pod is in one group, at a high weight. */
const GUARDRAIL = [
  {
    name: 'outage',
    kind: 'error-rate',
    relative: { maxRatio: 3, tolerance: '25%' },
    minSamples: 20,
    // Its own: a patient plan must not make it slow.
    window: '1m',
    failureLimit: 2,
  },
] as const;

const margin = (least: string) => ({
  margin: finite
    .min(1)
    .max(100)
    .default(1.2)
    .describe("Times the stable's odds up to which the canary counts as no worse."),
  tolerance: percentSchema(50)
    .prefault(least)
    // Against nothing at all nothing can be tested.
    .refine((part) => part > 0, 'wanted more than 0%, like "0.001%"')
    .describe('Frequency up to which the canary is harmless, whatever the stable does.'),
});

const evidence = z
  .strictObject({
    mode: z
      .enum(['auto', 'robust', 'independent', 'off'])
      .default('auto')
      .describe(
        "auto: as fast as the service's own past allows (the A/A check). off: no comparison, only the checks judge.",
      ),
    provider: z.string().optional().describe("Metrics provider that counts; the cluster's first if absent."),
    alpha: percentSchema(10)
      .prefault('1%')
      .refine((alpha) => alpha > 0, 'wanted more than 0%, with which nothing could ever be rolled back')
      .describe('The most that a healthy canary is rolled back with, over the whole rollout.'),
    beta: percentSchema(50)
      .prefault('5%')
      .refine((beta) => beta > 0, 'wanted more than 0%, with which nothing could ever be promoted')
      .describe('The most that a constantly bad canary is promoted with.'),
    block: durationSchema('100ms', '5m').optional().describe('Length of a block of counts; by mode if absent.'),
    warmUp: durationSchema('0s', '30m')
      .optional()
      .describe('Time after the first traffic in which only outright failure counts; by mode if absent.'),
    errors: z.strictObject(margin('0.05%')).prefault({}),
    latency: z
      .union([
        z.literal('off'),
        z.strictObject({
          ...margin('0.1%'),
          bounds: z
            .array(durationSchema('1ms', '1h'))
            .min(1)
            .max(8)
            .optional()
            .describe(
              'Bounds of the latency histogram beyond which a response is slow; chosen from the past if absent.',
            ),
        }),
      ])
      .prefault({}),
    safety: z
      .strictObject({
        failing: percentSchema(100)
          .prefault('1%')
          .refine((part) => part > 0 && part < 1, 'wanted more than 0% and less than 100%'),
        ratio: finite.gt(1).max(1000).default(3),
      })
      .prefault({})
      .describe("A canary that fails so often, at so many times the stable's odds, is bad: what is to be disproved."),
    bake: durationSchema('0s', '7d')
      .prefault('0s')
      .describe('Time at the last step beyond its hold, judged all the while: for what shows late.'),
    unproven: z
      .strictObject({
        after: durationSchema('1s', '7d').prefault('30m'),
        then: z.enum(['pause', 'rollback', 'promote']).default('pause'),
      })
      .prefault({})
      .describe(
        'What happens when the canary could not be proven safe in that time. promote: only one that is merely not known; one that looks bad, or was never heard at this weight, pauses.',
      ),
  })
  .prefault({});

const GUARD_ACTIONS = ['rollback', 'pause', 'warn', 'off'] as const;

/** What a plan may say of guards: each is a word, or its settings; `off` for all of them. */
function guardsSchema(specs: readonly GuardSpec[]) {
  const action = z.enum(GUARD_ACTIONS, { error: `wanted one of ${GUARD_ACTIONS.join(', ')}` });
  const each = specs.map(({ name, about, unit, then }) => {
    const settings = z.strictObject({
      then: action.optional(),
      limit: LIMIT_SCHEMAS[unit]().optional(),
      window: durationSchema('1s', '1h').optional().describe('Look-back; analysis.window if absent, or its own.'),
      failureLimit: z.int().min(1).max(100).optional().describe('Consecutive failures that make it act.'),
    });
    const value = z.union([action, settings]).optional().describe(`${about} Default: ${then}.`);
    return [name, value] as const;
  });
  const named = z.strictObject(Object.fromEntries(each), {
    error: ({ code }) => (code === 'invalid_type' ? 'wanted guards by name with what each is to do' : undefined),
  });
  return z
    .union([z.literal('off'), named])
    .optional()
    .describe(
      'Watches beside the checks, all of them on unless said otherwise: rollback, pause, warn or off, or settings of its own (docs/guards.md). A plan without checks and without the comparison has only those that it names.',
    );
}

type WrittenGuards = z.output<ReturnType<typeof guardsSchema>>;

const LIMIT_SCHEMAS = {
  percent: () => percentSchema(),
  times: () => finite.min(1).max(1000),
  count: () => z.int().min(0).max(1000),
} as const;

/** What the schema has to know of a guard. */
export interface GuardSpec {
  readonly name: string;
  /** One sentence: what it sees. */
  readonly about: string;
  /** What its limit is: a percentage (a ratio in the plan), a factor, a number of times. */
  readonly unit: 'percent' | 'times' | 'count';
  readonly then: Guard['then'];
  readonly limit: number;
  /** null: analysis.window. */
  readonly window: Millis | null;
  /** null: analysis.failureLimit. */
  readonly failureLimit: number | null;
  readonly strict: boolean;
  /** Name of the metrics provider that it asks; null: none. */
  readonly provider: string | null;
  /** Can the target's mesh answer it at all? */
  applies(target: Target): boolean;
}

const analysisSchema = (guards: readonly GuardSpec[]) =>
  z.strictObject({
    guards: guardsSchema(guards),
    evidence: evidence.describe('The comparison of canary and stable, request by request.'),
    interval: durationSchema('1s', '1h').prefault('10s').describe('Time between evaluations.'),
    settle: durationSchema('0s', '10m')
      .prefault('0s')
      .describe('Evaluations look only at time after the weight has been in force for so long.'),
    window: durationSchema('1s', '1h').prefault('1m'),
    failureLimit: z.int().min(1).max(100).default(2),
    noData: z
      .strictObject({
        patience: durationSchema('1s', '1d').prefault('5m'),
        then: z.enum(['pause', 'rollback']).default('pause'),
      })
      .prefault({}),
    trafficShare: z.enum(['auto', 'enforce', 'observe']).default('auto'),
    checks: z
      .array(check)
      .max(LIMITS.checks, `wanted at most ${LIMITS.checks} checks`)
      .optional()
      .describe(
        'Limits beside the comparison. Absent: a guardrail against outright failure; with evidence off, limits against the stable version.',
      ),
  });

const restOf = (guards: readonly GuardSpec[]) => ({
  steps,
  sessionAffinity: sessionAffinity
    .optional()
    .describe(
      'Users stay with the version that they met, by a cookie; at every weight just that share of them is with the canary. Absent: every request is divided by itself.',
    ),
  analysis: analysisSchema(guards).prefault({}),
  drift: z
    .strictObject({
      then: z.enum(['pause', 'reassert']).default('pause'),
      maxReasserts: z.int().min(0).max(100).default(3),
    })
    .prefault({}),
  readyDeadline: durationSchema('1s', '1d')
    .prefault('10m')
    .describe(
      'How long the canary may take to become ready, and a written weight to come into force where it is copied to the proxies.',
    ),
  meshPatience: durationSchema('1s', '1d')
    .prefault('5m')
    .describe('How long the mesh object may be out of reach before the rollout pauses.'),
  deadline: durationSchema('1s', '90d')
    .optional()
    .describe('Total time after which an unfinished rollout is rolled back.'),
  onConflict: z.enum(['reject', 'join', 'supersede', 'queue']).default('reject'),
  rollbackWindow: durationSchema('0s', '90d')
    .prefault('24h')
    .describe(
      'How long after its promotion the rollout may be taken back in one write, while the old version still runs.',
    ),
  approvals,
  onBehalfOf,
  labels: z
    .record(z.string().min(1).max(63), z.string().max(253))
    .refine((labels) => Object.keys(labels).length <= LIMITS.labels, `wanted at most ${LIMITS.labels} labels`)
    .default({}),
  preflight: z
    .strictObject({
      severity: z
        .record(z.string().max(63), z.enum(SEVERITIES, { error: `wanted one of ${SEVERITIES.join(', ')}` }))
        .default({})
        .describe(
          "What findings of a mesh check are worth in this rollout, by the check's name: fail, warn or ignore. Never milder than the installation's own policy for that check.",
        ),
    })
    .optional(),
  webhooks,
  notify,
});

export interface TargetSchema {
  readonly kind: string;
  readonly target: z.ZodType<Target>;
  /** Absent: nothing is known of what it can carry. */
  readonly capabilities?: readonly MeshCapabilities[];
}

/** A question for the world's knowledge that a schema has not: can this check be asked of this target? null: yes. */
export type InspectCheck = (check: Check, target: Target) => string | null;

/** Metrics providers of a cluster: those that it has, and the one of built-in checks that name none. null: no such cluster. */
export type ProvidersOf = (cluster: string) => { readonly known: readonly string[]; readonly usual: string } | null;

/** PromQL is asked of it, and everything else where nobody says otherwise. */
const PROMETHEUS = 'prometheus';

export interface PlanParser {
  parse(
    document: unknown,
  ): { readonly ok: true; readonly plan: Plan } | { readonly ok: false; readonly problems: readonly Problem[] };
  readonly jsonSchema: Record<string, unknown>;
}

export function planParser(
  meshes: readonly TargetSchema[],
  providers: readonly string[],
  inspect: InspectCheck,
  providersOf: ProvidersOf = () => null,
  /** Names of the mesh checks; null: not known here, and any will do. */
  meshChecks: readonly string[] | null = null,
  /** Absent: every mesh can carry every step. */
  inspectStep: InspectStep = () => null,
  guards: readonly GuardSpec[] = [],
  /** Absent: any channel, any address. */
  outside = ANYTHING,
): PlanParser {
  const rest = restOf(guards);
  const known = meshes.map((mesh) => mesh.kind);
  const matrix = meshes.flatMap(({ capabilities = [] }) => capabilities);
  const byKind = new Map(meshes.map((mesh) => [mesh.kind, mesh.target]));
  const outer = z.strictObject({ target: z.looseObject({ mesh: z.string() }), ...rest });
  const targets = meshes.map((mesh) => mesh.target) as [z.ZodType<Target>, ...z.ZodType<Target>[]];
  const published = z.strictObject({ target: z.union(targets), ...rest, steps: stepsAsPublished });

  return {
    jsonSchema: {
      ...(z.toJSONSchema(published, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>),
      title: 'Sluice rollout plan',
    },
    parse(document) {
      const problems: Problem[] = [];
      const parsed = outer.safeParse(document, ASKED);
      if (!parsed.success) problems.push(...problemsOf(parsed.error, document));
      const target = parseTarget(document, byKind, known, problems);
      if (parsed.success) {
        const own = target === null ? null : providersOf(target.cluster);
        const usual = own?.usual ?? PROMETHEUS;
        const bare = canonical(parsed.data, target ?? (parsed.data.target as unknown as Target), usual);
        const known = own?.known ?? providers;
        const watch = target === null ? NO_GUARDS : guardsFor(guards, parsed.data.analysis, bare, known);
        problems.push(...watch.problems);
        const plan = guards.length === 0 ? bare : { ...bare, analysis: { ...bare.analysis, guards: watch.guards } };
        problems.push(...crossChecks(plan, known, target === null ? () => null : inspect));
        problems.push(...routeProblems(plan, target, matrix));
        problems.push(...stepProblems(plan.steps, target, inspectStep));
        problems.push(...approvalProblems(parsed.data.approvals, plan.steps));
        problems.push(...affinityProblems(plan, target, inspectStep));
        problems.push(...severityProblems(plan.preflight?.severity ?? {}, meshChecks));
        problems.push(...outsideProblems(plan, outside));
        if (target !== null && problems.length === 0) return { ok: true, plan };
      }
      return { ok: false, problems: unique(problems) };
    },
  };
}

function parseTarget(
  document: unknown,
  byKind: ReadonlyMap<string, z.ZodType<Target>>,
  known: readonly string[],
  problems: Problem[],
): Target | null {
  const target = isRecord(document) ? document['target'] : undefined;
  if (!isRecord(target)) return null;
  const mesh = target['mesh'];
  if (typeof mesh !== 'string') return null;
  const schema = byKind.get(mesh);
  if (schema === undefined) {
    problems.push({
      pointer: '/target/mesh',
      code: 'unknown_mesh',
      message: `unknown mesh ${JSON.stringify(mesh)}; known: ${known.join(', ')}`,
    });
    return null;
  }
  const parsed = schema.safeParse(target, ASKED);
  if (parsed.success) return parsed.data;
  problems.push(...problemsOf(parsed.error, target).map((p) => ({ ...p, pointer: `/target${p.pointer}` })));
  return null;
}

type Outer = z.output<z.ZodObject<ReturnType<typeof restOf>>>;

interface ChosenGuards {
  readonly guards: readonly Guard[];
  readonly problems: readonly Problem[];
}
const NO_GUARDS: ChosenGuards = { guards: [], problems: [] };

/**
 * The guards of one plan: those that the mesh and the cluster can answer, as it says. A plan that wants nothing judged at
 * all (no checks, no comparison) is not judged by guards either, but for those that it names.
 */
function guardsFor(
  specs: readonly GuardSpec[],
  { guards: written, window, failureLimit }: Outer['analysis'],
  { target, analysis }: Plan,
  providers: readonly string[],
): ChosenGuards {
  if (written === 'off') return NO_GUARDS;
  const judged = analysis.checks.length > 0 || analysis.evidence !== null;
  const guards: Guard[] = [];
  const problems: Problem[] = [];
  for (const spec of specs) {
    const wish = wishOf(written, spec.name);
    const then = wish === null ? (judged ? spec.then : 'off') : (wish.then ?? spec.then);
    if (then === 'off') continue;
    const objection = cannotAnswer(spec, target, providers);
    if (objection === null)
      guards.push({
        name: spec.name,
        then,
        limit: wish?.limit ?? spec.limit,
        window: wish?.window ?? spec.window ?? window,
        failureLimit: wish?.failureLimit ?? spec.failureLimit ?? failureLimit,
        strict: spec.strict,
      });
    else if (wish !== null)
      problems.push({
        pointer: `/analysis/guards${pointerTo([spec.name])}`,
        code: 'cannot_be_asked',
        message: objection,
      });
  }
  return { guards, problems };
}

type Wish = {
  readonly then?: Guard['then'] | 'off' | undefined;
  readonly limit?: number | undefined;
  readonly window?: Millis | undefined;
  readonly failureLimit?: number | undefined;
};

/** null: the plan does not name it. */
function wishOf(written: WrittenGuards, name: string): Wish | null {
  const wish = (written as Readonly<Record<string, Wish | (typeof GUARD_ACTIONS)[number] | undefined>> | undefined)?.[
    name
  ];
  return wish === undefined ? null : typeof wish === 'string' ? { then: wish } : wish;
}

function cannotAnswer(
  { name, provider, applies }: GuardSpec,
  target: Target,
  providers: readonly string[],
): string | null {
  if (!applies(target))
    return `the proxies of mesh ${JSON.stringify(target.mesh)} do not count what guard ${JSON.stringify(name)} looks at: leave it out`;
  return provider === null || providers.includes(provider)
    ? null
    : `guard ${JSON.stringify(name)} asks the metrics provider ${provider}, which cluster ${JSON.stringify(target.cluster)} has not; it has ${providers.join(', ')}`;
}

type Written = z.output<typeof check>;

/**
 * The checks that are named, and what none of them does; an empty list is what it says. With a step of 100 % nothing can be
 * relative to the stable version, and no limit that suits every service is known.
 */
function checksOf(
  named: readonly Written[] | undefined,
  compared: boolean,
  whole: boolean,
): readonly (Written & Pick<Check, 'guardrail'>)[] {
  const guardrail = z
    .array(check)
    .parse(GUARDRAIL)
    .map((one) => ({ ...one, guardrail: true as const }));
  if (named === undefined) return !compared ? z.array(check).parse(DEFAULT_CHECKS) : whole ? [] : guardrail;
  if (!compared || whole || named.length === 0 || named.some(judgesErrors)) return named;
  const taken = new Set(named.map((one) => one.name));
  return [...named, ...guardrail.map((one) => ({ ...one, name: free(one.name, taken) }))];
}

/** Of all requests: what fails on another route than the one that a check names has no limit by it. */
const judgesErrors = (one: Written): boolean => one.kind === 'error-rate' && one.route === undefined;

/** Theirs may have its name. */
function free(name: string, taken: ReadonlySet<string>): string {
  let own = name;
  for (let n = 2; taken.has(own); n += 1) own = `${name}-${n}`;
  return own;
}

function canonicalEvidence(e: z.output<typeof evidence>, usual: string, byUser: boolean): EvidencePlan | null {
  const { mode, provider, alpha, beta, block, warmUp, errors, latency: slow, safety, bake, unproven } = e;
  if (mode === 'off') return null;
  return {
    provider: provider ?? usual,
    // One user's requests go to one version: the past, divided by pods, says nothing of how alike they are.
    mode: mode === 'auto' && byUser ? 'robust' : mode,
    alpha,
    beta,
    block: block ?? null,
    warmUp: warmUp ?? null,
    errors,
    latency: slow === 'off' ? null : { ...slow, bounds: slow.bounds ?? null },
    safety: { frequency: safety.failing, ratio: safety.ratio },
    bake,
    unproven,
  };
}

function canonical(written: Outer, target: Target, usual: string): Plan {
  const {
    steps: all,
    analysis: a,
    drift,
    readyDeadline,
    meshPatience,
    deadline,
    onConflict,
    approvals: words,
    onBehalfOf: behalf,
    labels,
    preflight,
    rollbackWindow,
    webhooks,
    notify,
    sessionAffinity: affinity,
  } = written;
  const rising = canonicalSteps(all, target, words);
  return {
    target,
    steps: rising,
    ...(affinity === undefined ? {} : { sessionAffinity: affinity }),
    analysis: {
      interval: a.interval,
      settle: a.settle,
      noData: a.noData,
      trafficShare: a.trafficShare,
      evidence: canonicalEvidence(a.evidence, usual, affinity !== undefined),
      checks: checksOf(
        a.checks,
        a.evidence.mode !== 'off',
        rising.some(({ weight }) => weight === 100),
      ).map((c) => canonicalCheck(c, a, usual)),
    },
    drift,
    readyDeadline,
    meshPatience,
    deadline: deadline ?? null,
    onConflict,
    rollbackWindow,
    ...(behalf === undefined ? {} : { onBehalfOf: behalf }),
    labels,
    ...(preflight === undefined ? {} : { preflight }),
    ...(webhooks === undefined ? {} : { webhooks }),
    ...(notify === undefined ? {} : { notify: [...new Set(notify)] }),
  };
}

function canonicalCheck(
  c: Written & Pick<Check, 'guardrail'>,
  defaults: { window: number; failureLimit: number },
  usual: string,
): Check {
  const min = c.kind === 'prometheus' ? c.min : undefined;
  return {
    name: c.name,
    kind: c.kind,
    provider: c.provider ?? (c.kind === 'prometheus' ? PROMETHEUS : usual),
    window: c.window ?? defaults.window,
    failureLimit: c.failureLimit ?? defaults.failureLimit,
    ...(c.guardrail === true ? { guardrail: true as const } : {}),
    minSamples: c.kind === 'prometheus' ? 0 : c.minSamples,
    threshold: {
      ...(c.max === undefined ? {} : { max: c.max }),
      ...(min === undefined ? {} : { min }),
      ...(c.relative === undefined ? {} : { relative: c.relative }),
    },
    ...(c.kind === 'prometheus' || c.route === undefined ? {} : { route: c.route }),
    ...(c.kind === 'latency' ? { quantile: c.quantile } : {}),
    ...(c.kind === 'prometheus' ? { query: c.query } : {}),
  };
}

function severityProblems(severity: Severities, known: readonly string[] | null): Problem[] {
  if (known === null) return [];
  return Object.keys(severity)
    .filter((check) => !known.includes(check))
    .map((check) => ({
      pointer: `/preflight/severity${pointerTo([check])}`,
      code: 'unknown_check',
      message: `unknown mesh check ${JSON.stringify(check)}; known: ${known.join(', ')}`,
    }));
}

/** Checks of one route, where the mesh has no series by route. */
function routeProblems(
  { analysis }: Plan,
  target: Target | null,
  matrix: readonly MeshCapabilities[],
): readonly Problem[] {
  if (target === null || !matrix.some(({ mesh }) => mesh === target.mesh)) return [];
  return analysis.checks.flatMap((c, i): Problem[] => {
    const lack = c.route === undefined ? null : noRouteChecks(matrix, { mesh: target.mesh, proxy: target['proxy'] });
    return lack === null ? [] : [{ pointer: `/analysis/checks/${i}/route`, code: 'unsupported_check', message: lack }];
  });
}

/** What no single field can say. */
function crossChecks(plan: Plan, providers: readonly string[], inspect: InspectCheck): Problem[] {
  const problems: Problem[] = [];
  const relative = plan.analysis.checks
    .filter((c) => c.threshold.relative !== undefined)
    .map((c) => JSON.stringify(c.name));
  plan.steps.forEach((s, i) => {
    if (s.weight === 100 && relative.length > 0)
      problems.push({
        pointer: `/steps/${i}/weight`,
        code: 'nothing_to_compare',
        message: `at 100 % the stable version has no traffic, so the relative limits of ${relative.join(', ')} cannot be judged: leave this step out (a rollout ends at 100 % anyway), or give only absolute limits`,
      });
  });
  problems.push(...evidenceProblems(plan, providers));
  const names = new Set<string>();
  plan.analysis.checks.forEach((c, i) => {
    const at = `/analysis/checks/${i}`;
    if (names.has(c.name))
      problems.push({
        pointer: `${at}/name`,
        code: 'duplicate',
        message: `another check is named ${JSON.stringify(c.name)} already`,
      });
    names.add(c.name);
    const { max, min, relative } = c.threshold;
    if (max === undefined && min === undefined && relative === undefined) {
      const limits = c.kind === 'prometheus' ? 'max, min or relative' : 'max or relative';
      problems.push({
        pointer: at,
        code: 'no_threshold',
        message: `check ${JSON.stringify(c.name)} has no limit: give ${limits}`,
      });
    }
    if (max !== undefined && min !== undefined && min > max)
      problems.push({
        pointer: `${at}/min`,
        code: 'empty_range',
        message: `min ${min} is above max ${max}: no value could pass`,
      });
    if (!providers.includes(c.provider)) {
      problems.push({
        pointer: `${at}/provider`,
        code: 'unknown_provider',
        message: `unknown metrics provider ${JSON.stringify(c.provider)}; known: ${providers.join(', ')}`,
      });
      return;
    }
    const objection = inspect(c, plan.target);
    if (objection !== null)
      problems.push({
        pointer: c.kind === 'prometheus' ? `${at}/query` : `${at}/max`,
        code: 'cannot_be_asked',
        message: objection,
      });
  });
  return problems;
}

function evidenceProblems({ analysis, steps }: Plan, providers: readonly string[]): Problem[] {
  const { evidence } = analysis;
  if (evidence === null) return [];
  const at = '/analysis/evidence';
  const problems: Problem[] = [];
  if (!providers.includes(evidence.provider))
    problems.push({
      pointer: `${at}/provider`,
      code: 'unknown_provider',
      message: `unknown metrics provider ${JSON.stringify(evidence.provider)}; known: ${providers.join(', ')}`,
    });
  const whole = steps.findIndex((s) => s.weight === 100);
  // Relative limits are refused at the same step, and limits of the canary's own judge there.
  if (whole >= 0 && analysis.checks.length === 0)
    problems.push({
      pointer: `/steps/${whole}/weight`,
      code: 'nothing_to_compare',
      message:
        'at 100 % the stable version has no requests to compare with, so only limits of the canary\'s own judge there, and the plan has none: give analysis.checks one with max or min, like { name: errors, kind: error-rate, max: "1%" }; or leave this step out (a rollout ends at 100 % anyway), or set analysis.evidence.mode to off',
    });
  const bounds = evidence.latency?.bounds ?? [];
  if (bounds.some((bound, i) => i > 0 && bound <= (bounds[i - 1] ?? 0)))
    problems.push({
      pointer: `${at}/latency/bounds`,
      code: 'not_rising',
      message: `wanted rising bounds; found ${bounds.map(latencyWords).join(', ')}`,
    });
  return problems;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const unique = (problems: readonly Problem[]): Problem[] => [
  ...new Map(problems.map((p) => [`${p.pointer}\n${p.message}`, p])).values(),
];
