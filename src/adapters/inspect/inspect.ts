/** Runs the checks in `checks/`: in parallel, within one deadline, each by its name. */
import type { Logger, MeshFinding, MeshInspector, MeshQuestion, MeshReport } from '../../app/ports.ts';
import { UnknownName } from '../../app/ports.ts';
import { severityOf, weighed, weighedStricter } from '../../app/severity.ts';
import type { Millis, Severities, Target } from '../../domain/plan.ts';
import type { MeshModule } from '../mesh.ts';
import { loadFolder, meshFor } from '../registry.ts';
import { ALIKE, alike } from './alike.ts';
import type { CheckModule, CheckResult, Listing, Scope, Surroundings } from './check.ts';
import { Unread } from './check.ts';
import type { Policy } from './policy.ts';
import type { Sources } from './surroundings.ts';
import { openSurroundings } from './surroundings.ts';

export type Checks = ReadonlyMap<string, CheckModule>;

/** One cluster as it is inspected. */
export interface Inspected extends Sources {
  /** Namespaces of the control planes. */
  readonly controlPlanes: Readonly<Record<'istio' | 'linkerd', string>>;
  /** Absent: it stands alone. */
  readonly listing?: Listing | null;
}

export interface InspectorOptions {
  readonly clusters: ReadonlyMap<string, Inspected>;
  readonly meshes: ReadonlyMap<string, MeshModule>;
  readonly checks: Checks;
  readonly policy: Policy;
  /** What this installation makes of the checks' findings. */
  readonly severity: Severities;
  readonly log: Logger;
  /** Default 6 s: one call of the cluster client and something to spare. */
  readonly within?: Millis;
}

const WITHIN: Millis = 6_000;
const SCOPES = ['cluster', 'namespace', 'target'] as const satisfies readonly Scope[];

/** Every check, by name. Throws, naming the file, for one that is no check or is misnamed. */
export async function loadChecks(folder = new URL('./checks/', import.meta.url)): Promise<Checks> {
  const byFile = await loadFolder<CheckModule>(folder, wrongWith);
  const named = [...byFile.values()].map((check): [string, CheckModule] => [check.name, check]);
  return new Map(named.sort(([a], [b]) => a.localeCompare(b)));
}

function wrongWith(exported: unknown, file: string): string | null {
  const found = exported as Partial<CheckModule> | undefined;
  if (typeof found !== 'object' || typeof found?.run !== 'function') return 'wanted a default export with the check';
  const { name = '', about = '', meshes = [], scope, rbac } = found;
  if (!/^[a-z][-a-z]*(\.[a-z][-a-z]*)*$/.test(name))
    return `wanted a name like area.subject, of a to z and "-"; found "${name}"`;
  if (name.replaceAll('.', '-') !== file)
    return `wanted the file ${name.replaceAll('.', '-')}, by the check's name "${name}"`;
  if (about === '' || meshes.length === 0) return 'wanted about, and at least one mesh';
  if (scope === undefined || !SCOPES.includes(scope)) return `wanted a scope of ${SCOPES.join(', ')}`;
  return Array.isArray(rbac) ? null : 'wanted rbac, the rights that it needs';
}

export function openInspector(options: InspectorOptions): MeshInspector {
  const { clusters, meshes, checks, policy, severity, log } = options;

  const around = (
    mesh: MeshModule,
    asked: Omit<MeshQuestion, 'mesh'>,
    target: Target | null,
    routes: readonly string[] = [],
  ): Surroundings => {
    const cluster = clusters.get(asked.cluster);
    if (cluster === undefined) throw new UnknownName('cluster', asked.cluster, [...clusters.keys()]);
    const proxy = target === null ? (asked.proxy ?? mesh.proxy(mesh.target.parse(mesh.example))) : mesh.proxy(target);
    const controlPlane = cluster.controlPlanes[proxy];
    const { namespace } = asked;
    return openSurroundings(cluster, {
      mesh,
      proxy,
      controlPlane,
      policy,
      target,
      namespace,
      routes,
      listing: cluster.listing ?? null,
    });
  };

  const looked = async (surroundings: Surroundings, stricter: Severities): Promise<readonly MeshFinding[]> => {
    const found = await inspect(checks, surroundings, options.within ?? WITHIN, log);
    return found.map((finding) => {
      const weigh = checks.get(finding.check)?.never === 'milder' ? weighedStricter : weighed;
      return weigh(finding, severityOf(finding.check, severity, stricter));
    });
  };

  return {
    checks: [...checks.keys(), ALIKE],
    async target(target, stricter, routes) {
      const { cluster, namespace } = target;
      return looked(
        around(meshFor(meshes, target.mesh), { cluster, namespace, proxy: null }, target, routes),
        stricter,
      );
    },
    async alike(targets) {
      const surroundings = targets.map((target) => {
        const { cluster, namespace } = target;
        return around(meshFor(meshes, target.mesh), { cluster, namespace, proxy: null }, target);
      });
      return (await alike(surroundings)).map((finding) => weighed(finding, severityOf(finding.check, severity, {})));
    },
    async cluster(question) {
      const surroundings = around(meshFor(meshes, question.mesh), question, null);
      return report(surroundings, await looked(surroundings, {}));
    },
  };
}

/** The findings of every check that these surroundings are enough for, by name; several of one check in its own order. */
export async function inspect(
  checks: Checks,
  around: Surroundings,
  within: Millis,
  log: Logger,
): Promise<readonly MeshFinding[]> {
  const known: readonly Scope[] =
    around.target !== null ? SCOPES : around.namespace !== null ? ['cluster', 'namespace'] : ['cluster'];
  const fitting = [...checks.values()].filter(
    ({ meshes, scope }) => meshes.includes(around.mesh) && known.includes(scope),
  );
  const deadline = openDeadline(within);
  try {
    const found = await Promise.all(fitting.map((check) => findings(check, around, deadline.passed, log)));
    return found.flat();
  } finally {
    deadline.clear();
  }
}

function openDeadline(within: Millis) {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unread(`not answered within ${within / 1000} s`)), within);
  });
  // Without a check there is nobody to hear it.
  passed.catch(() => undefined);
  return { passed, clear: () => clearTimeout(timer) };
}

async function findings(
  { name, run }: CheckModule,
  around: Surroundings,
  deadline: Promise<never>,
  log: Logger,
): Promise<readonly MeshFinding[]> {
  try {
    const results = await Promise.race([run(around), deadline]);
    return results.map((result) => named(name, result));
  } catch (error) {
    if (error instanceof Unread) return [unknown(name, `not checked: ${error.message}`)];
    log.error({ check: name, cluster: around.cluster, err: error }, 'a mesh check failed by a bug');
    return [unknown(name, 'not checked: the check failed by a bug of its own, which the log has')];
  }
}

const named = (check: string, { status, message, evidence, remediation }: CheckResult): MeshFinding => ({
  check,
  level: status,
  message,
  ...(evidence === undefined ? {} : { evidence }),
  ...(remediation === undefined ? {} : { remediation }),
});

const unknown = (check: string, message: string): MeshFinding => ({ check, level: 'unknown', message });

/** What people ask first of a mesh, from the evidence of the checks that know it. */
function report(around: Surroundings, found: readonly MeshFinding[]): MeshReport {
  const { cluster, mesh, proxy, namespace, controlPlane } = around;
  const evidence = (check: string, field: string): unknown =>
    found.find((finding) => finding.check === check && finding.evidence?.[field] !== undefined)?.evidence?.[field];
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  const installed = evidence('mesh.installed', 'installed');
  return {
    cluster,
    mesh,
    proxy,
    namespace,
    controlPlane,
    installed: typeof installed === 'boolean' ? installed : null,
    version: text(evidence('mesh.version', 'version')),
    profile: text(evidence('mesh.profile', 'profile')),
    findings: found,
  };
}
