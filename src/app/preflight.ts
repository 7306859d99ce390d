/** What the cluster says of a plan before anything is written: named findings, what each check measures now. */

import { affinityAt } from '../domain/affinity.ts';
import { canaryShortage } from '../domain/capacity.ts';
import { plain } from '../domain/format.ts';
import type { Route, RouteReading } from '../domain/observation.ts';
import type { Plan } from '../domain/plan.ts';
import { weightAt } from '../domain/plan.ts';
import type { Stamp } from '../domain/rollout.ts';
import { temporaryAt } from '../domain/temporary.ts';
import type { Prepared } from './evidence-setup.ts';
import { prepareEvidence } from './evidence-setup.ts';
import type { MeshFindingsPorts } from './mesh-findings.ts';
import { meshFindings } from './mesh-findings.ts';
import { planFindings } from './plan-findings.ts';
import type { MeshGateway, MeshInspector, MetricsGateway, PreparationGateway } from './ports.ts';
import { heldAgainstServed, type ServedPorts } from './served.ts';
import type { CheckPreview, Finding, Problem } from './usecases.ts';

export interface PreflightPorts extends MeshFindingsPorts {
  readonly meshes: MeshGateway;
  readonly inspector: Pick<MeshInspector, 'target' | 'alike'>;
  readonly metrics: MetricsGateway;
  /** Absent: nothing is made ready beside routes. */
  readonly preparations?: Pick<PreparationGateway, 'preview'>;
  /** Absent: plans are held against the newest version of each mesh's API only. */
  readonly served?: ServedPorts;
}

export interface Preflight {
  readonly findings: readonly Finding[];
  /** What the version of the mesh's API that the cluster serves cannot carry. Not empty: the plan is not for this cluster. */
  readonly unsupported: readonly Problem[];
  readonly canaryWeightNow: number | null;
  readonly stamp: Stamp | null;
  /** How the canary will be compared with the stable; its findings are among the findings. */
  readonly prepared: Prepared;
}

const finding = (check: string, level: Finding['level'], message: string): Finding => ({ check, level, message });

/**
 * Only reads (and one dry-run write). A `fail` refuses the rollout; `unknown` and `warn` are recorded with it; what policy
 * ignores is only shown (`severity.ts`).
 */
export async function preflight(ports: PreflightPorts, plan: Plan): Promise<Preflight> {
  const { target } = plan;
  const router = ports.meshes.router(target);
  const [route, stable, canary, inspected, metrics, queries, prepared, beside, held] = await Promise.all([
    router.read({ fresh: true }),
    ports.meshes.workload(target, 'stable'),
    ports.meshes.workload(target, 'canary'),
    meshFindings(ports, plan),
    metricsFindings(ports, plan),
    queryFindings(ports, plan),
    prepareEvidence(ports, plan),
    ports.preparations?.preview(plan) ?? [],
    heldAgainstServed(ports.served, plan),
  ]);
  const findings = [
    await routeFinding(router, plan, route),
    ...startingPoint(router.object, plan, route, stable),
    workloadFinding('stable', stable),
    workloadFinding('canary', canary),
    ...capacityFindings(plan, { stable, canary }),
    ...inspected,
    ...beside,
    ...metrics,
    ...queries,
    ...prepared.findings,
    ...planFindings(plan),
    ...held.findings,
  ];
  return {
    findings,
    unsupported: held.unsupported,
    canaryWeightNow: route.ok ? route.canaryWeight : null,
    stamp: route.ok ? route.stamp : null,
    prepared,
  };
}

type Router = ReturnType<MeshGateway['router']>;

async function routeFinding(router: Router, plan: Plan, route: Route): Promise<Finding> {
  if (!route.ok) {
    // Out of reach is not a fault of the plan: the rollout would wait. Everything else is refused before any write.
    const level = route.code === 'timeout' || route.code === 'unavailable' ? 'unknown' : 'fail';
    return finding('route', level, route.message);
  }
  for (const step of toRehearse(plan)) {
    const rehearsed = await rehearse(router, plan, step, route.token);
    if (rehearsed.kind !== 'trouble') continue;
    const { code, message } = rehearsed.trouble;
    // Only workers may write where the API has an account of its own: that is no fault and nothing to warn of.
    if (code === 'forbidden' || code === 'unauthorized')
      return readable(router, route, '; the write itself is tried by the worker');
    return finding('route', code === 'timeout' || code === 'unavailable' ? 'unknown' : 'fail', message);
  }
  return readable(router, route, '');
}

/** The first write, and every one that brings rules of our own: those that keep users are most at the last weight. */
function toRehearse(plan: Plan): readonly number[] {
  const adding = plan.steps.flatMap(({ adds }, step) => (adds === undefined ? [] : [step]));
  const keeping = plan.steps.findLastIndex((_, step) => affinityAt(plan, step) !== null);
  return [...new Set([0, ...adding, ...(keeping < 0 ? [] : [keeping])])];
}

const rehearse = (router: Router, plan: Plan, step: number, token: string): ReturnType<Router['rehearse']> =>
  router.rehearse(
    {
      stamp: { rollout: 'dry-run', epoch: Number.MAX_SAFE_INTEGER, generation: 1 },
      canaryWeight: weightAt(plan, step),
      temporary: temporaryAt(plan, step),
      goingBack: false,
      fact: null,
      step,
      from: null,
      reason: 'dry run',
      actor: 'sluice',
      at: 0,
      link: null,
    },
    token,
  );

function readable(router: Router, route: RouteReading, note: string): Finding {
  const scope = route.carriesAllTraffic
    ? ''
    : '; other rules of the object also carry traffic of the service, which stays where it is';
  return finding(
    'route',
    'pass',
    `${router.object}: the canary has ${plain(route.canaryWeight)} % now and can be moved${scope}${note}`,
  );
}

/** The first weight must not be a way down onto pods that are not there, nor a mistake about which version is which. */
function startingPoint(object: string, plan: Plan, route: Route, stable: Workload): readonly Finding[] {
  const first = weightAt(plan, 0);
  if (!route.ok || route.canaryWeight <= first) return [];
  const has = `${object}: the canary has ${plain(route.canaryWeight)} % already, and the first step has ${first} %`;
  if (route.canaryWeight === 100)
    return [
      finding(
        'starting-point',
        'fail',
        `${has}: an earlier rollout promoted this version. Swap stable and canary in the plan, or give the stable version the traffic first`,
      ),
    ];
  const ready = stable.ok && stable.ready > 0;
  const advice = ready
    ? 'the traffic goes down to it first'
    : 'the stable version has no ready pod to take the difference; scale it up';
  return [finding('starting-point', ready ? 'warn' : 'fail', `${has}: ${advice}`)];
}

/** Who has to take everything at once. */
function capacityFindings({ steps }: Plan, workloads: Parameters<typeof canaryShortage>[0]): readonly Finding[] {
  const short = steps.some(({ weight }) => weight === 100) ? canaryShortage(workloads) : null;
  return short === null ? [] : [finding('canary-capacity', 'warn', short)];
}

type Workload = Awaited<ReturnType<MeshGateway['workload']>>;

function workloadFinding(role: 'stable' | 'canary', workload: Workload): Finding {
  const check = `${role}-workload`;
  if (!workload.ok) {
    const wrong = workload.code === 'not_found' || workload.code === 'forbidden' || workload.code === 'unauthorized';
    return finding(check, wrong ? 'fail' : 'unknown', workload.message);
  }
  const ready = `deployment ${workload.name}: ${workload.ready} of ${workload.replicas} pods ready`;
  if (workload.settled && workload.replicas > 0) return finding(check, 'pass', ready);
  const crash = workload.crash === null ? '' : `; ${workload.crash.message}`;
  return finding(check, 'warn', `${ready}${crash}${role === 'canary' ? '; no traffic goes up before they are' : ''}`);
}

async function metricsFindings({ metrics }: PreflightPorts, plan: Plan): Promise<readonly Finding[]> {
  const { checks, evidence } = plan.analysis;
  const counts = evidence === null ? [] : [evidence.provider];
  const names = [...new Set([...checks.map((check) => check.provider), ...counts])];
  return Promise.all(
    names.map(async (name) => {
      const provider = metrics.provider(name, plan.target.cluster);
      const wrong = await provider.ping();
      return wrong === null
        ? finding(`metrics-${name}`, 'pass', `metrics provider ${name} answers`)
        : finding(`metrics-${name}`, 'warn', `${wrong}; without data no step passes`);
    }),
  );
}

/** The question itself is wrong, whatever the world is like: it would never have an answer. */
const WRONG_QUESTION: ReadonlySet<string> = new Set(['bad_query', 'several_series', 'wrong_type']);

/** Custom queries are asked once before any traffic depends on them. */
async function queryFindings({ metrics }: PreflightPorts, plan: Plan): Promise<readonly Finding[]> {
  const { target, analysis } = plan;
  const custom = analysis.checks.filter((check) => check.kind === 'prometheus' && check.query !== undefined);
  return Promise.all(
    custom.map(async (check) => {
      const { kind, window, query = '' } = check;
      const provider = metrics.provider(check.provider, target.cluster);
      const reading = await provider.measure({ kind, target, role: 'stable', window, query });
      const name = `check-${check.name}`;
      if (reading.ok) return finding(name, 'pass', 'the query has a value now');
      if (WRONG_QUESTION.has(reading.code)) return finding(name, 'fail', `${reading.message}; correct the query`);
      return finding(
        name,
        reading.code === 'no_data' ? 'warn' : 'unknown',
        `${reading.message}; without data no step passes`,
      );
    }),
  );
}

/** Asks every check of the stable version now: a wrong query shows before it matters. */
export async function previewChecks({ metrics }: PreflightPorts, plan: Plan): Promise<readonly CheckPreview[]> {
  const { target } = plan;
  return Promise.all(
    plan.analysis.checks.map(async (check) => {
      const reading = await metrics.provider(check.provider, target.cluster).measure({
        kind: check.kind,
        target,
        role: 'stable',
        window: check.window,
        ...(check.route === undefined ? {} : { route: check.route }),
        ...(check.quantile === undefined ? {} : { quantile: check.quantile }),
        ...(check.query === undefined ? {} : { query: check.query }),
      });
      if (!reading.ok)
        return { check: check.name, query: reading.query, stableValue: null, samples: null, message: reading.message };
      const { value, samples, query } = reading;
      return { check: check.name, query, stableValue: value, samples, message: 'the stable version has a value now' };
    }),
  );
}
