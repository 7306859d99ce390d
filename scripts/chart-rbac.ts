/**
 * Writes the chart's Kubernetes rights from what each mesh and each mesh check says it needs: `node scripts/chart-rbac.ts` writes the file,
 * `--check` says whether it is as it should be. A test runs the same function, so the two cannot drift apart.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadChecks } from '../src/adapters/inspect/inspect.ts';
import type { PolicyRule } from '../src/adapters/mesh.ts';
import { MIGRATION_RIGHTS } from '../src/adapters/policies/peer-authentication.ts';
import { capabilityMatrix, loadMeshes, loadPreparations } from '../src/adapters/registry.ts';
import { meshesWith } from '../src/domain/capabilities.ts';
import type { Preparation } from '../src/domain/preparation.ts';
import { PREPARATIONS } from '../src/domain/preparation.ts';

export const RBAC_FILE = fileURLToPath(new URL('../charts/sluice/files/rbac.json', import.meta.url));

/** What looking at the two Deployments and their pods needs, whatever the mesh. */
const WORKLOADS: readonly PolicyRule[] = [
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
];

const READS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

export interface Rights {
  readonly common: readonly PolicyRule[];
  /** By `target.mesh`: only the meshes that an installation uses. */
  readonly meshes: Readonly<Record<string, readonly PolicyRule[]>>;
}

export interface ChartRights {
  /** Reads: it looks before it accepts a plan. */
  readonly api: Rights;
  /** Also moves weights. */
  readonly worker: Rights;
  /** What the checks before a rollout list outside of the rollouts' own namespaces, for both: a ClusterRole that only reads. */
  readonly inspect: Pick<Rights, 'meshes'>;
  /** What the worker needs beside for migrations of mTLS, which make and remove policies: only where they are wanted. */
  readonly migrations: Pick<Rights, 'meshes'>;
  /** What steps that make something ready beside the route need, by kind: only those that are wanted. The API only looks. */
  readonly preparations: Readonly<
    Record<Preparation['kind'], Readonly<Record<'api' | 'worker', readonly PolicyRule[]>>>
  >;
}

/** Kinds that are in no namespace: a Role cannot give rights to list them. */
const CLUSTER_SCOPED: ReadonlySet<string> = new Set(['namespaces']);

export async function chartRights(): Promise<ChartRights> {
  const [meshes, checks, ways] = await Promise.all([loadMeshes(), loadChecks(), loadPreparations()]);
  const looked = (kind: string): readonly PolicyRule[] =>
    [...checks.values()].filter((check) => check.meshes.includes(kind)).flatMap((check) => check.rbac);
  const inNamespace = (rules: readonly PolicyRule[]): readonly PolicyRule[] =>
    rules.filter(({ resources }) => !resources.some((resource) => CLUSTER_SCOPED.has(resource)));
  const kinds = [...meshes].map(([kind, mesh]) => ({ kind, mesh }));
  const worker: Rights = {
    common: WORKLOADS,
    meshes: Object.fromEntries(
      kinds.map(({ kind, mesh }) => [kind, joined([...mesh.rbac, ...inNamespace(looked(kind))], WORKLOADS)]),
    ),
  };
  const inspect = { meshes: Object.fromEntries(kinds.map(({ kind }) => [kind, joined(looked(kind), [])])) };
  const migrated = meshesWith(capabilityMatrix(meshes), 'mtlsMigration');
  const migrations = { meshes: Object.fromEntries(migrated.map((kind) => [kind, MIGRATION_RIGHTS])) };
  const preparations = Object.fromEntries(
    PREPARATIONS.map((kind) => {
      const rules = joined(
        [...ways.values()].filter(({ prepares }) => prepares === kind).flatMap(({ rbac }) => rbac),
        [],
      );
      return [kind, { api: cut(rules, READS), worker: rules }];
    }),
  ) as ChartRights['preparations'];
  return { api: only(worker, READS), worker, inspect, migrations, preparations };
}

/** Each resource once, with all its verbs, in the order in which it is first named; without what `given` gives already. */
function joined(rules: readonly PolicyRule[], given: readonly PolicyRule[]): readonly PolicyRule[] {
  const grants = (list: readonly PolicyRule[]) =>
    list.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.map((resource) => ({ key: `${group}/${resource}`, group, resource, verbs })),
      ),
    );
  const before = new Map(grants(given).map(({ key, verbs }) => [key, new Set(verbs)]));
  const found = new Map<string, { group: string; resource: string; verbs: Set<string> }>();
  for (const { key, group, resource, verbs } of grants(rules)) {
    const wanted = verbs.filter((verb) => before.get(key)?.has(verb) !== true);
    if (wanted.length === 0) continue;
    const rule = found.get(key) ?? { group, resource, verbs: new Set<string>() };
    for (const verb of wanted) rule.verbs.add(verb);
    found.set(key, rule);
  }
  return [...found.values()].map(({ group, resource, verbs }) => ({
    apiGroups: [group],
    resources: [resource],
    verbs: [...verbs],
  }));
}

const only = ({ common, meshes }: Rights, verbs: ReadonlySet<string>): Rights => ({
  common: cut(common, verbs),
  meshes: Object.fromEntries(Object.entries(meshes).map(([kind, rules]) => [kind, cut(rules, verbs)])),
});

const cut = (rules: readonly PolicyRule[], verbs: ReadonlySet<string>): readonly PolicyRule[] =>
  rules
    .map((rule) => ({ ...rule, verbs: rule.verbs.filter((verb) => verbs.has(verb)) }))
    .filter((rule) => rule.verbs.length > 0);

export const rbacText = async (): Promise<string> => `${JSON.stringify(await chartRights(), null, 2)}\n`;

if (import.meta.main) {
  const wanted = await rbacText();
  if (!process.argv.includes('--check')) await writeFile(RBAC_FILE, wanted);
  else if ((await readFile(RBAC_FILE, 'utf8')) !== wanted) {
    process.stderr.write(
      'charts/sluice/files/rbac.json is not what the meshes and their checks ask for; run: node scripts/chart-rbac.ts\n',
    );
    process.exitCode = 1;
  }
}
