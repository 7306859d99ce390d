/**
 * Writes the chart's Kubernetes rights from what each mesh says it needs: `node scripts/chart-rbac.ts` writes the file,
 * `--check` says whether it is as it should be. A test runs the same function, so the two cannot drift apart.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { PolicyRule } from '../src/adapters/mesh.ts';
import { loadMeshes } from '../src/adapters/registry.ts';

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

/** `api` reads: it looks before it accepts a plan. `worker` also moves weights. */
export async function chartRights(): Promise<{ readonly api: Rights; readonly worker: Rights }> {
  const meshes = Object.fromEntries([...(await loadMeshes())].map(([kind, mesh]) => [kind, mesh.rbac]));
  const worker: Rights = { common: WORKLOADS, meshes };
  return { api: only(worker, READS), worker };
}

function only({ common, meshes }: Rights, verbs: ReadonlySet<string>): Rights {
  const cut = (rules: readonly PolicyRule[]): readonly PolicyRule[] =>
    rules
      .map((rule) => ({ ...rule, verbs: rule.verbs.filter((verb) => verbs.has(verb)) }))
      .filter((rule) => rule.verbs.length > 0);
  return {
    common: cut(common),
    meshes: Object.fromEntries(Object.entries(meshes).map(([kind, rules]) => [kind, cut(rules)])),
  };
}

export const rbacText = async (): Promise<string> => `${JSON.stringify(await chartRights(), null, 2)}\n`;

if (import.meta.main) {
  const wanted = await rbacText();
  if (!process.argv.includes('--check')) await writeFile(RBAC_FILE, wanted);
  else if ((await readFile(RBAC_FILE, 'utf8')) !== wanted) {
    process.stderr.write(
      'charts/sluice/files/rbac.json is not what the meshes ask for; run: node scripts/chart-rbac.ts\n',
    );
    process.exitCode = 1;
  }
}
