/** Shapes of what can be said of a plan before it is started: the dry run and the back-test. */
import { z } from 'zod';
import { STEP_KINDS } from '../app/step-kinds.ts';
import { GATES } from '../domain/plan.ts';
import { described, finding, named } from './schemas.ts';

const percent = z.number().min(0).max(100);

export const evidencePlanSchema = named(
  'EvidencePlan',
  'How the canary would be compared with the stable version.',
  z.object({
    words: z.string(),
    provider: described('Metrics provider that counts.', z.string()),
    view: described("The provider's view of the requests; null: its first choice.", z.string().nullable()),
    mode: z.enum(['robust', 'independent']),
    blockMs: described('Length of a block of counts.', z.number()),
    warmUpMs: described('Time after the first traffic in which only outright failure counts.', z.number()),
    boundsMs: described('Responses slower than these are compared; empty: latency is not.', z.array(z.number())),
    alphaPercent: described('The most that a healthy canary is rolled back with.', percent),
    betaPercent: described('The most that a constantly bad canary is promoted with.', percent),
    calibration: described(
      "The A/A check: the stable's own pods, judged as if each were a canary; null: there was no past to try it on.",
      z
        .object({
          trials: described('Fewer than there could be: it ends once too many were rolled back.', z.int()),
          rolledBack: z.int(),
          passed: z.boolean(),
          pods: z.int(),
          pastMs: z.number(),
        })
        .nullable(),
    ),
  }),
);
export type EvidencePlanBody = z.input<typeof evidencePlanSchema>;

const outcomes = {
  trials: z.int(),
  rolledBack: described('By the comparison or by a check.', z.int()),
  promoted: z.int(),
  unproven: described('Not proven safe within the time that the plan gives.', z.int()),
  unfinished: described('The window of the past was over before the rollout was.', z.int()),
};

const causes = z.array(z.object({ cause: z.string(), times: z.int() }));

const rungSchema = named(
  'BackTestRung',
  'What the plan does to a canary with one regression.',
  z.object({
    kind: described(
      'errors: so many more of its successful responses fail; slow: are slower than every bound.',
      z.enum(['errors', 'slow']),
    ),
    increasePercent: percent,
    ...outcomes,
    delayMs: described("Median from the canary's first request to the rollback; null: none.", z.number().nullable()),
    harm: described(
      'Median of the requests that failed, or were slow, because of the regression until the rollback; null: none.',
      z.number().nullable(),
    ),
  }),
);

export const backTestSchema = named(
  'BackTest',
  "What the plan would have done to the stable version's own pods over the last hours, as they were and with regressions.",
  z.object({
    words: described('The result in sentences.', z.array(z.string())),
    evidence: described('null: the plan wants no comparison.', evidencePlanSchema.nullable()),
    findings: z.array(finding),
    past: z.object({
      lengthMs: z.number(),
      pods: described('Pods that had requests in it.', z.int()),
      lived: described(
        'Of these, pods that lived through a whole window (80 % of it): only they are trials. Those that were replaced are none.',
        z.int(),
      ),
    }),
    windows: described('Parts of the past, each long enough for a rollout.', z.int()),
    windowMs: z.number(),
    brief: described(
      'Pods were replaced too often for windows as long as the plan may wait for its proof: shorter ones were tried.',
      z.boolean(),
    ),
    shortened: described('The past is shorter than the plan: only its beginning was tried.', z.boolean()),
    leftOut: described('Healthy trials that the limits or the time left out.', z.int()),
    cut: described('The time was over before every trial was made.', z.boolean()),
    healthy: z.object({
      ...outcomes,
      sharePercent: described('Of the trials, those that were rolled back.', percent),
      intervalPercent: described(
        'Where the true share is with 95 % confidence (Clopper and Pearson), if trials were independent.',
        z.object({ low: percent, high: percent }),
      ),
      causes: described('What rolled back, the most frequent first.', causes),
      waits: described(
        'What the unproven and the unfinished waited for at their end: evidence: proof (too few requests for it), silence, suspicion, shared outage, traffic; check: a name (no pass); holds.',
        z.object({ unproven: causes, unfinished: causes }),
      ),
      timeToPromotionMs: described('Median; null: none was promoted.', z.number().nullable()),
    }),
    ladder: described('Rising per kind.', z.array(rungSchema)),
    caught: described(
      'The smallest regression that is rolled back in at least 90 % of the trials; null: none of the ladder is, or the healthy service is in more than 10 %.',
      z.object({ errors: rungSchema.nullable(), slow: rungSchema.nullable() }),
    ),
    notReplayed: described(
      'Checks of the plan that counts of the past cannot answer.',
      z.array(z.object({ check: z.string(), reason: z.string() })),
    ),
  }),
);
export type BackTestBody = z.input<typeof backTestSchema>;

export const dryRunSchema = named(
  'DryRun',
  'What a plan would do, and what the cluster says of it now. Nothing was written.',
  z.object({
    accepted: described('false: the same plan without dryRun would be refused by these findings.', z.boolean()),
    findings: z.array(finding),
    timeline: z.array(
      z.object({
        step: described('Index of the step; as many as the plan has steps: the promotion.', z.int()),
        kind: described(
          'What the step is for: a weight, something beside the route or the weight, or the promotion.',
          z.enum(STEP_KINDS),
        ),
        words: described('What it does, for people.', z.string()),
        weight: percent,
        earliestMs: described('Earliest time after the start at which this step can be in force.', z.number()),
        holdMs: described('At the last step with the time that the comparison wants (bake).', z.number()),
        approval: described('After the hold a person must promote.', z.boolean()),
        approvedBy: described('Whose word that is, for people; null: none is wanted.', z.string().nullable()),
        gates: described(
          'Webhooks that must approve before this step is entered.',
          z.array(z.object({ name: z.string(), gate: z.enum(GATES) })),
        ),
      }),
    ),
    minimumMs: described(
      'Shortest possible time to the promotion: every hold, without what approvals, gates and writes take.',
      z.number(),
    ),
    checks: z.array(
      z.object({
        check: z.string(),
        query: z.string(),
        stableValue: z.number().nullable(),
        samples: z.number().nullable(),
        message: z.string(),
      }),
    ),
    canaryWeightNow: z.number().nullable(),
    evidence: described(
      'The comparison, tried on the past; null: the plan wants none.',
      z
        .object({
          plan: evidencePlanSchema,
          backTest: described('A brief one; null: none could be made, see whyNot.', backTestSchema.nullable()),
          whyNot: z.string().nullable(),
        })
        .nullable(),
    ),
  }),
);
export type DryRunBody = z.input<typeof dryRunSchema>;
