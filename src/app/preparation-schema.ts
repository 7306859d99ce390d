/** Steps that make something ready beside the route, as people write them. */
import { z } from 'zod';
import type { Step } from '../domain/plan.ts';
import type { EnsureSubset, Preparation, Scale, ScaleTo } from '../domain/preparation.ts';
import { durationSchema } from './units.ts';
import type { Problem } from './usecases.ts';

const MOST_PODS = 1_000;

const PERCENT = { error: 'wanted a part in whole percent from 1 to 1000, like 50 or "50%"' };
const percent = z
  .union(
    [z.int(PERCENT).min(1, PERCENT).max(1_000, PERCENT), z.string().regex(/^([1-9]\d{0,2}|1000)%$/, PERCENT)],
    PERCENT,
  )
  .transform((part) => (typeof part === 'number' ? part : Number(part.slice(0, -1))));

export const scale = z
  .strictObject({
    replicas: z.int().min(1).max(MOST_PODS).optional().describe('So many pods.'),
    percent: percent.optional().describe("Part of the pods that the stable version's Deployment wants, rounded up."),
    match: z
      .literal('nextWeight')
      .optional()
      .describe("The canary's share of the stable version's pods at the next weight, rounded up."),
    onRollback: z
      .enum(['restore', 'zero'])
      .default('restore')
      .describe('What becomes of the pods once a rollback has brought the traffic back: as many as before, or none.'),
  })
  .refine((s) => [s.replicas, s.percent, s.match].filter((way) => way !== undefined).length === 1, {
    error: 'wanted one of replicas, percent and match',
  });

const LABEL = /^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

export const ensureSubset = z.strictObject({
  labels: z
    .record(z.string().regex(LABEL, 'wanted the name of a label'), z.string().regex(VALUE, 'wanted a value of a label'))
    .refine((labels) => Object.keys(labels).length > 0, 'wanted at least one label')
    .optional()
    .describe("Of the canary's pods. Absent: what tells its pod template from the stable version's."),
  settle: durationSchema('0s', '10m')
    .prefault('10s')
    .describe('How long a new subset must stand before anything is led to it; istiod collects changes for up to 10 s.'),
});

interface Written {
  readonly scale?: z.output<typeof scale> | undefined;
  readonly ensureSubset?: z.output<typeof ensureSubset> | undefined;
}

/** null: the step is of another kind. */
export function preparationOf({ scale: s, ensureSubset: e }: Written): Preparation | null {
  if (s !== undefined) return scaleOf(s);
  return e === undefined ? null : subsetOf(e);
}

function scaleOf({ replicas, percent: part, onRollback }: z.output<typeof scale>): Scale {
  const to: ScaleTo =
    replicas !== undefined ? { replicas } : part !== undefined ? { percent: part } : { match: 'nextWeight' };
  return { kind: 'scale', to, onRollback };
}

const subsetOf = ({ labels, settle }: z.output<typeof ensureSubset>): EnsureSubset => ({
  kind: 'ensureSubset',
  labels: labels ?? null,
  settle,
});

/** What is wrong with a step that prepares, beside what its own fields say. */
export function preparationProblems(all: readonly Step[], step: number): readonly Problem[] {
  const kind = all[step]?.prepares?.kind;
  if (kind !== 'ensureSubset') return [];
  const earlier = all
    .slice(0, step)
    .find(({ weight, adds, prepares }) => weight > 0 || adds !== undefined || prepares?.kind === kind);
  if (earlier === undefined) return [];
  const found = earlier.weight > 0 ? `a weight of ${earlier.weight} %` : `${earlier.adds?.kind ?? 'another one'}`;
  return [
    {
      pointer: `/steps/${step}/${kind}`,
      code: 'too_late',
      message: `an ensureSubset step comes once, before anything is led to the canary; found it after ${found}`,
    },
  ];
}
