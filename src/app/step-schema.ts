/** The steps of a plan as people write them: weights, what stands beside weights, and the template that has all of them. */
import { z } from 'zod';
import type { Step, Target } from '../domain/plan.ts';
import type { Preparation } from '../domain/preparation.ts';
import type { FaultRehearsal, Match, Mirror, Temporary } from '../domain/temporary.ts';
import { type Approvals, approvalOfStep, canonicalApproval } from './approval-schema.ts';
import { ASKED, unknownKind } from './document-problems.ts';
import { ensureSubset, preparationOf, preparationProblems, scale } from './preparation-schema.ts';
import { durationSchema, percentSchema } from './units.ts';
import type { Problem } from './usecases.ts';

export const MOST_STEPS = 50;

const WEIGHT = { error: 'wanted a canary share in whole percent from 1 to 100, like 25 or "25%"' };
const weight = z
  .union([z.int(WEIGHT).min(1, WEIGHT).max(100, WEIGHT), z.string().regex(/^([1-9]\d?|100)%$/, WEIGHT)], WEIGHT)
  .transform((share) => (typeof share === 'number' ? share : Number(share.slice(0, -1))));

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const token = z.string().regex(TOKEN, 'wanted the name of a header or cookie (RFC 9110): letters, digits, "-", "_"');
const value = z.string().min(1).max(256);

/** Headers that a mesh routes by itself, or whose change would be another request. */
const RESERVED: ReadonlySet<string> = new Set(['host', 'cookie', 'connection', 'content-length', 'transfer-encoding']);

const headerRoute = z
  .strictObject({
    header: token.optional().describe('Name of the header; compared without regard to case.'),
    cookie: token.optional().describe('Name of the cookie; with exact only.'),
    exact: value.optional(),
    prefix: value.optional(),
    regex: value.optional().describe('RE2, of the whole value.'),
  })
  .refine((h) => (h.header === undefined) !== (h.cookie === undefined), { error: 'wanted one of header and cookie' })
  .refine((h) => [h.exact, h.prefix, h.regex].filter((way) => way !== undefined).length === 1, {
    error: 'wanted one of exact, prefix and regex',
  })
  .refine((h) => h.cookie === undefined || h.exact !== undefined, { error: 'a cookie is compared with exact' })
  .refine((h) => !RESERVED.has(h.header?.toLowerCase() ?? '') && !(h.header ?? '').startsWith(':'), {
    error: 'that header cannot be routed by; for cookies use cookie',
    path: ['header'],
  });

const whole = (least: string) =>
  percentSchema(100)
    .refine((part) => part > 0, 'wanted more than 0%')
    .prefault(least);

const mirror = z.strictObject({
  percent: whole('100%').describe('Part of the requests that is copied.'),
  allowUnsafeMethods: z
    .boolean()
    .default(false)
    .describe('Also copies of POST and whatever else changes something: it then happens twice. gRPC is all POST.'),
});

const probe = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: 'wanted an http or https address' }).max(2000),
  requests: z.int().min(1).max(50).default(20),
  timeout: durationSchema('100ms', '5s').prefault('5s').describe('Of one request.'),
  maxFailed: percentSchema(100).prefault('0%').describe('The most that may fail (5xx, or no answer).'),
  minFailed: percentSchema(100).prefault('0%').describe('The least that must fail: shows that faults arrive at all.'),
  within: durationSchema('1ms', '5s').optional().describe('The longest that a request may take.'),
});

const faultRehearsal = z
  .strictObject({
    delay: z.strictObject({ percent: whole('100%'), time: durationSchema('1ms', '1m') }).optional(),
    abort: z.strictObject({ percent: whole('100%'), status: z.int().min(400).max(599).default(503) }).optional(),
    probe: probe.describe('The requests that the worker makes, and what their caller is to see of the faults.'),
  })
  .refine((f) => f.delay !== undefined || f.abort !== undefined, { error: 'wanted a delay, an abort, or both' });

const ACTIONS = ['weight', 'headerRoute', 'mirror', 'faultRehearsal', 'scale', 'ensureSubset'] as const;

const hold = durationSchema('0s', '30d')
  .describe('How long the step must be in force, judged all the while, before the rollout goes on.')
  .prefault('1m');

const step = z
  .strictObject({
    weight: weight.optional().describe('Canary share in percent; rises from step to step.'),
    headerRoute: headerRoute
      .optional()
      .describe('Requests with that header or cookie go to the canary, from this step until the promotion.'),
    mirror: mirror.optional().describe('A copy of the requests goes to the canary, during this step.'),
    faultRehearsal: faultRehearsal
      .optional()
      .describe("Delays and aborts of marked requests, which the worker makes itself: no user's request meets them."),
    scale: scale.optional().describe('Pods of the canary, before the weight that they are to carry.'),
    ensureSubset: ensureSubset
      .optional()
      .describe('The subsets that the target names are defined before anything is led to the canary.'),
    hold,
    approval: approvalOfStep,
  })
  .refine((s) => ACTIONS.filter((action) => s[action] !== undefined).length === 1, {
    error: `wanted exactly one of ${ACTIONS.join(', ')}`,
  });

const testers = headerRoute.prefault({ header: 'x-canary', exact: 'always' });

const safe = z.strictObject({
  template: z.literal('safe'),
  headerRoute: testers,
  mirror: mirror.prefault({}),
  faultRehearsal: faultRehearsal
    .optional()
    .describe('Absent: every marked request is aborted with 503, and the probe goes to the service itself.'),
  hold,
});

const blueGreen = z.strictObject({
  template: z.literal('blueGreen'),
  headerRoute: testers.describe('Who sees the new version before everybody does.'),
  approval: approvalOfStep,
  mirror: mirror.optional().describe('Absent: nothing is copied.'),
  faultRehearsal: faultRehearsal.optional().describe('Absent: none.'),
  hold,
});

const TEMPLATES = { safe, blueGreen } as const;

const template = z.discriminatedUnion('template', [safe, blueGreen], {
  error: unknownKind('template', 'template', Object.keys(TEMPLATES)),
});

const list = z.array(step).min(1, 'wanted at least one step').max(MOST_STEPS, `wanted at most ${MOST_STEPS} steps`);
const named = template.describe(
  'safe: testers by header, mirror, fault rehearsal, then 1, 5, 25 and 50 %. blueGreen: testers by header, then 100 % in one step.',
);

/** For the published schema. */
export const stepsAsPublished = z.union([list, named]);

type Written = z.output<typeof list> | z.output<typeof named>;

/** Of the two forms the one that was meant: a union would only say that neither fits, and not which field is wrong. */
export const steps = z.unknown().transform((input, context): Written => {
  const form: z.ZodType<Written> = typeof input === 'object' && input !== null && !Array.isArray(input) ? named : list;
  const parsed = form.safeParse(input, ASKED);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues)
    context.issues.push({ ...issue, input: issue.input } as (typeof context.issues)[number]);
  return z.NEVER;
});

type WrittenStep = z.output<typeof step>;

/** The canonical steps; what stands beside weights keeps the weight of before. */
export function canonicalSteps(written: Written, target: Target, plan: Approvals = {}): readonly Step[] {
  const all = Array.isArray(written) ? written : fromTemplate(written, target);
  let now = 0;
  return all.map((one) => {
    const adds = addsOf(one);
    now = one.weight ?? now;
    const { hold: held, approval } = one;
    const prepares = preparationOf(one);
    return {
      weight: now,
      hold: held,
      ...canonicalApproval(approval, plan),
      ...(adds === null ? {} : { adds }),
      ...(prepares === null ? {} : { prepares }),
    };
  });
}

/** Best practice in one word: nobody but testers, then copies, then faults, then users, few first. */
const SAFE_WEIGHTS = [1, 5, 25, 50] as const;

function fromTemplate(t: z.output<typeof template>, target: Target): readonly WrittenStep[] {
  return t.template === 'safe' ? safeSteps(t, target) : blueGreenSteps(t);
}

/** Nobody but testers, then everybody at once. */
function blueGreenSteps(t: z.output<typeof blueGreen>): readonly WrittenStep[] {
  const about = { hold: t.hold, approval: 'none' } as const;
  return [
    { headerRoute: t.headerRoute, hold: t.hold, approval: t.approval },
    ...(t.mirror === undefined ? [] : [{ mirror: t.mirror, ...about }]),
    ...(t.faultRehearsal === undefined ? [] : [{ faultRehearsal: t.faultRehearsal, ...about, hold: 0 }]),
    { weight: 100, ...about },
  ];
}

function safeSteps(t: z.output<typeof safe>, target: Target): readonly WrittenStep[] {
  const about = { hold: t.hold, approval: 'none' } as const;
  const rehearsal = t.faultRehearsal ?? {
    abort: { percent: 1, status: 503 },
    probe: {
      url: `http://${target.service}.${target.namespace}/`,
      requests: 20,
      timeout: 5_000,
      maxFailed: 1,
      minFailed: 0.5,
    },
  };
  return [
    { headerRoute: t.headerRoute, ...about },
    { mirror: t.mirror, ...about },
    { faultRehearsal: rehearsal, ...about, hold: 0 },
    ...SAFE_WEIGHTS.map((share) => ({ weight: share, ...about })),
  ];
}

function addsOf({ headerRoute: h, mirror: m, faultRehearsal: f }: WrittenStep): Temporary | null {
  if (h !== undefined) return { kind: 'headerRoute', match: matchOf(h) };
  if (m !== undefined) return mirrorOf(m);
  return f === undefined ? null : rehearsalOf(f);
}

const mirrorOf = ({ percent, allowUnsafeMethods }: z.output<typeof mirror>): Mirror => ({
  kind: 'mirror',
  percent: percent * 100,
  ...(allowUnsafeMethods ? { allowUnsafeMethods } : {}),
});

function matchOf({ header, cookie, exact = '', prefix, regex }: z.output<typeof headerRoute>): Match {
  if (cookie !== undefined) return { cookie, exact };
  const name = (header ?? '').toLowerCase();
  if (prefix !== undefined) return { header: name, prefix };
  return regex === undefined ? { header: name, exact } : { header: name, regex };
}

function rehearsalOf({ delay, abort, probe: p }: z.output<typeof faultRehearsal>): FaultRehearsal {
  return {
    kind: 'faultRehearsal',
    delay: delay === undefined ? null : { percent: delay.percent * 100, time: delay.time },
    abort: abort === undefined ? null : { percent: abort.percent * 100, status: abort.status },
    probe: { ...p, within: p.within ?? null },
  };
}

/** Can the target's mesh carry that, and may it be asked for? null: yes; otherwise why not. */
export type InspectStep = (asked: Temporary | Preparation, target: Target) => string | null;

export function stepProblems(all: readonly Step[], target: Target | null, inspect: InspectStep): readonly Problem[] {
  const problems: Problem[] = [];
  all.forEach((one, i) => {
    const before = all[i - 1];
    const at = `/steps/${i}`;
    if (one.prepares !== undefined) {
      const why = target === null ? null : inspect(one.prepares, target);
      if (why !== null)
        problems.push({ pointer: `${at}/${one.prepares.kind}`, code: 'unsupported_step', message: why });
      problems.push(...preparationProblems(all, i));
      return;
    }
    if (one.adds === undefined) {
      if (before !== undefined && one.weight <= before.weight)
        problems.push({
          pointer: `${at}/weight`,
          code: 'not_rising',
          message: `wanted a weight above ${before.weight} of the step before; found ${one.weight}`,
        });
      return;
    }
    const { kind } = one.adds;
    const objection = target === null ? null : inspect(one.adds, target);
    if (objection !== null) problems.push({ pointer: `${at}/${kind}`, code: 'unsupported_step', message: objection });
    if (one.weight > 0)
      problems.push({
        pointer: `${at}/${kind}`,
        code: 'too_late',
        message: `a ${kind} step comes before the first weight; found it after ${one.weight} %`,
      });
    if (kind === 'faultRehearsal' && one.adds.probe.minFailed > one.adds.probe.maxFailed)
      problems.push({
        pointer: `${at}/${kind}/probe/minFailed`,
        code: 'empty_range',
        message: 'wanted at most maxFailed: no rehearsal could pass',
      });
  });
  if (all.every(({ weight: share }) => share === 0))
    problems.push({ pointer: '/steps', code: 'no_weight', message: 'wanted at least one step with a weight' });
  return problems;
}
