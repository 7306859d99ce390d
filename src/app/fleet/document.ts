/** From what was sent to a fleet rollout that this server can act on: the waves, and the plan of every cluster. */
import { z } from 'zod';
import type { FleetSpec } from '../../domain/fleet/fleet.ts';
import { childDocument } from '../../domain/fleet/fleet.ts';
import type { Plan } from '../../domain/plan.ts';
import { ASKED, problemsOf } from '../document-problems.ts';
import type { ParsePorts } from '../parse.ts';
import { parse } from '../parse.ts';
import { durationSchema } from '../units.ts';
import type { Problem } from '../usecases.ts';

const wave = z.strictObject({
  name: z.string().min(1).max(63).optional(),
  clusters: z
    .array(z.string())
    .min(1, 'wanted at least one cluster')
    .max(50)
    .describe('By their names in the configuration; each in one wave only.'),
  steps: z.array(z.unknown()).min(1).optional().describe("In place of the plan's."),
  approval: z
    .enum(['none', 'required'])
    .default('none')
    .describe('required: a person lets the next wave begin, after the bake.'),
  bake: durationSchema('0s', '30d')
    .prefault('0s')
    .describe('Promoted for so long, with pods that run, before the next wave.'),
});

/** A fleet rollout as it is sent. */
export const fleetDocument = z.strictObject({
  plan: z.looseObject({ target: z.looseObject({}) }).describe('A plan as for POST /rollouts, without target.cluster.'),
  waves: z.array(wave).min(1, 'wanted at least one wave').max(20, 'wanted at most 20 waves'),
  onFailure: z
    .enum(['wave', 'all', 'pause'])
    .default('all')
    .describe('What a wave that fails takes back: itself, the earlier ones too, or a person is asked.'),
});

export interface ClusterPlan {
  readonly wave: number;
  readonly cluster: string;
  readonly plan: Plan;
}

export type ParsedFleet =
  | { readonly ok: true; readonly spec: FleetSpec; readonly plans: readonly ClusterPlan[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export function parseFleet(ports: ParsePorts, document: unknown): ParsedFleet {
  const parsed = fleetDocument.safeParse(document, ASKED);
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error, document) };
  const { plan, waves, onFailure } = parsed.data;
  const spec: FleetSpec = {
    plan,
    onFailure,
    waves: waves.map(({ name, steps, ...rest }, i) => ({
      ...rest,
      name: name ?? `wave ${i + 1}`,
      steps: steps ?? null,
    })),
  };
  const problems = fleetProblems(spec);
  const plans = problems.length > 0 ? [] : clusterPlans(ports, spec, problems);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, spec, plans };
}

function fleetProblems({ plan, waves }: FleetSpec): Problem[] {
  const problems: Problem[] = [];
  if ('cluster' in (plan['target'] as object))
    problems.push({
      pointer: '/plan/target/cluster',
      code: 'unknown_field',
      message: 'the waves name the clusters: leave target.cluster out of the plan',
    });
  const seen = new Map<string, number>();
  waves.forEach(({ clusters, approval }, i) => {
    clusters.forEach((cluster, j) => {
      const before = seen.get(cluster);
      if (before !== undefined)
        problems.push({
          pointer: `/waves/${i}/clusters/${j}`,
          code: 'duplicate',
          message: `cluster ${JSON.stringify(cluster)} is in wave ${before + 1} already`,
        });
      seen.set(cluster, i);
    });
    if (approval === 'required' && i === waves.length - 1)
      problems.push({
        pointer: `/waves/${i}/approval`,
        code: 'nothing_to_approve',
        message: 'no wave comes after the last one: require the approval of a step, or leave it out',
      });
  });
  return problems;
}

/** Where the document has what the plan of a wave's clusters has there. */
export const pointerIn = ({ waves }: FleetSpec, wave: number, pointer: string): string =>
  pointer.startsWith('/steps') && (waves[wave]?.steps ?? null) !== null
    ? `/waves/${wave}${pointer}`
    : `/plan${pointer}`;

/** The same fault in every cluster is told once, where it stands. */
function clusterPlans(ports: ParsePorts, spec: FleetSpec, problems: Problem[]): ClusterPlan[] {
  const told = new Set<string>();
  return spec.waves.flatMap(({ clusters }, wave) =>
    clusters.flatMap((cluster, i) => {
      const parsed = parse(ports, childDocument(spec, wave, cluster));
      if (parsed.ok) return [{ wave, cluster, plan: parsed.plan }];
      for (const { pointer, code, message } of parsed.problems) {
        const at = pointer === '/target/cluster' ? `/waves/${wave}/clusters/${i}` : pointerIn(spec, wave, pointer);
        if (told.has(`${at} ${message}`)) continue;
        told.add(`${at} ${message}`);
        problems.push({ pointer: at, code, message });
      }
      return [];
    }),
  );
}
