/** The body of a migration: from what was sent to what is meant, or problems with JSON pointers. */
import { z } from 'zod';
import type { Millis } from '../../domain/plan.ts';
import { ASKED, problemsOf } from '../document-problems.ts';
import { type Remotes, remoteProblem } from '../remote-cluster.ts';
import { durationSchema, percentSchema } from '../units.ts';
import type { Problem } from '../usecases.ts';

const NAME = z.string().regex(/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/, {
  error: ({ input }) => `wanted the name of a Kubernetes object; found ${JSON.stringify(input)?.slice(0, 80)}`,
});

const scope = z
  .strictObject({
    workload: NAME.optional().describe('A Deployment of the namespace: only its pods.'),
    namespace: NAME.optional(),
    mesh: z.literal(true).optional().describe('Every workload of the mesh.'),
  })
  .superRefine(({ workload, namespace, mesh }, ctx) => {
    const wanted = 'wanted workload with its namespace, a namespace, or mesh: true';
    if ((namespace === undefined) === (mesh === undefined)) ctx.addIssue({ code: 'custom', message: wanted });
    else if (workload !== undefined && namespace === undefined)
      ctx.addIssue({
        code: 'custom',
        path: ['namespace'],
        message: 'wanted the namespace of the workload; found nothing',
      });
  });

export const migrationSchema = z.strictObject({
  cluster: z.string().min(1).max(253).default('default'),
  mesh: z.string().min(1).max(63).default('istio'),
  scope,
  quiet: durationSchema('1s', '7d').prefault('10m').describe('How long nobody may have called in plaintext.'),
  watch: durationSchema('1s', '7d').prefault('10m').describe('How long STRICT is watched.'),
  patience: durationSchema('1s', '7d')
    .prefault('30m')
    .describe('How long nothing may be heard before it pauses, or once STRICT is in force goes back.'),
  limits: z
    .strictObject({
      failures: percentSchema(100)
        .prefault('1%')
        .describe('Failed connections beyond what failed before, of each caller and of all.'),
      lost: percentSchema(100).prefault('50%').describe('Part of its traffic that a named caller may lose.'),
    })
    .prefault({}),
});

export type MigrationDocument = z.output<typeof migrationSchema>;

export interface Known {
  readonly clusters: readonly string[];
  readonly meshes: readonly string[];
  readonly remotes: Remotes;
  shortest(cluster: string): Millis | null;
}

export type Parsed =
  | { readonly ok: true; readonly document: MigrationDocument; readonly shortest: Millis }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export function parseMigration(sent: unknown, known: Known): Parsed {
  const parsed = migrationSchema.safeParse(sent, ASKED);
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error, sent) };
  const document = parsed.data;
  const { cluster, mesh } = document;
  const unknown = (pointer: string, what: string, found: string, names: readonly string[]): Parsed => ({
    ok: false,
    problems: [{ pointer, code: `unknown_${what}`, message: `unknown ${what} "${found}"; known: ${names.join(', ')}` }],
  });
  if (!known.clusters.includes(cluster)) return unknown('/cluster', 'cluster', cluster, known.clusters);
  const remote = remoteProblem(known.remotes, cluster, { pointer: '/cluster', nothing: 'nobody would be refused' });
  if (remote !== null) return { ok: false, problems: [remote] };
  if (!known.meshes.includes(mesh))
    return {
      ok: false,
      problems: [
        {
          pointer: '/mesh',
          code: 'unsupported_mesh',
          message: `wanted a mesh whose mTLS can be migrated: ${known.meshes.join(', ')}; found "${mesh}"`,
        },
      ],
    };
  const shortest = known.shortest(cluster);
  if (shortest === null)
    return {
      ok: false,
      problems: [
        {
          pointer: '/cluster',
          code: 'no_metrics',
          message: `cluster "${cluster}" has no Prometheus: nobody could tell who calls in plaintext`,
        },
      ],
    };
  const short = (['quiet', 'watch'] as const).filter((field) => document[field] < shortest);
  if (short.length > 0)
    return {
      ok: false,
      problems: short.map((field) => ({
        pointer: `/${field}`,
        code: 'too_short',
        message: `wanted at least ${shortest / 1000} s, four scrapes of the cluster's Prometheus; found ${document[field] / 1000} s`,
      })),
    };
  return { ok: true, document, shortest };
}
