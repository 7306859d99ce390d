/**
 * What one look finds, and whether it is good enough for what would follow from it.
 *
 * A look is answered from copies that a watch keeps, and a copy may be seconds behind what another worker wrote. That is
 * good enough to see that nothing changed. Whatever would change the phase or raise the weight is decided again on what
 * the API server says now: a false drift pauses a rollout, a false "ready" sends users to nobody.
 */
import { beginsOnOldPreflight, observe, weightToWrite } from '../domain/advance.ts';
import type { Change } from '../domain/change.ts';
import type { Observation, Refusal, Workload, Workloads } from '../domain/observation.ts';
import type { Plan } from '../domain/plan.ts';
import type { Phase, RollbackReason, Rollout } from '../domain/rollout.ts';
import type { MeshGateway, PreparationGateway, TrafficRouter } from './ports.ts';
import { lookBeside } from './prepare.ts';

export interface Decided {
  readonly seen: Observation;
  readonly change: Change;
}

export interface Lookout {
  readonly meshes: Pick<MeshGateway, 'workload'>;
  readonly router: TrafficRouter;
  readonly preparations?: PreparationGateway;
  /** Absent: this process cannot ask, and what was found at the acceptance stands. */
  readonly refusals?: Refusals;
}

/** What of a preflight would refuse this plan now. Never throws for expected trouble: what cannot be asked refuses nothing. */
export type Refusals = (plan: Plan) => Promise<readonly Refusal[]>;

/** The mesh object and, where they matter, both Deployments. Nothing is measured. */
export async function glance(
  { meshes, router, preparations }: Lookout,
  rollout: Rollout,
  given: Pick<Observation, 'at' | 'blocked' | 'supersededBy'>,
): Promise<Observation> {
  const nothing = { ...given, route: null, workloads: null, measurements: [], share: null, evidence: null };
  const { phase } = rollout;
  if (phase.name === 'pending' && phase.behind !== null) return nothing;
  // A rollback asks nothing of pods: only the object decides when it is over. Then what stands beside it may go.
  if (phase.name === 'rolling_back') {
    const route = await router.read({ fresh: true, goingBack: true });
    return { ...nothing, route, preparations: await lookBeside(preparations, rollout, { route, workloads: null }) };
  }
  const [route, workloads] = await Promise.all([router.read(), readWorkloads(meshes, rollout, false)]);
  return { ...nothing, route, workloads };
}

/** Decides on `seen`; where the decision rests on copies that may be behind, looks again without them and decides anew. */
export async function decide(lookout: Lookout, rollout: Rollout, seen: Observation): Promise<Decided> {
  const { router, meshes, refusals } = lookout;
  const isFresh = { route: rollout.phase.name === 'rolling_back', pods: false };
  let look = seen;
  for (;;) {
    const change = observe(rollout, look);
    const rests = restsOn(rollout, change.rollout, look);
    const route = rests.route && !isFresh.route;
    const pods = rests.pods && !isFresh.pods;
    if (!route && !pods) {
      if (refusals === undefined || !beginsOnOldPreflight(rollout, change.rollout, look)) return { seen: look, change };
      look = { ...look, refusals: await refusals(rollout.plan) };
      continue;
    }
    const [routeNow, podsNow] = await Promise.all([
      route ? router.read({ fresh: true }) : look.route,
      pods ? readWorkloads(meshes, rollout, true) : look.workloads,
    ]);
    look = { ...look, route: routeNow, workloads: goesBack(change.rollout) ? known(podsNow, look.workloads) : podsNow };
    isFresh.route ||= route;
    isFresh.pods ||= pods;
  }
}

/** On its way to weight 0, or at an end there. */
export const goesBack = ({ phase }: Rollout): boolean =>
  phase.name === 'rolling_back' || (phase.name === 'ended' && phase.status !== 'succeeded');

/** What metrics and gates say cannot change it: the deadline, a later rollout, or a canary that cannot run. */
export const goesBackWhateverIsMeasured = (rollout: Rollout): boolean =>
  goesBack(rollout) && !(rollout.phase.name === 'rolling_back' && MEASURED.has(rollout.phase.reason));

const MEASURED: ReadonlySet<RollbackReason> = new Set(['analysis', 'no_data', 'unproven', 'gate']);

function restsOn(before: Rollout, after: Rollout, seen: Observation): { route: boolean; pods: boolean } {
  if (seen.route === null) return { route: false, pods: false };
  // The way back waits for no second look at the object: a write on a copy that is behind is refused and repeated.
  if (goesBack(after)) return { route: false, pods: restsOnCounts(after, seen.workloads) };
  const raised = raises(after, seen);
  const entered = after.generation !== before.generation;
  const pods = raised || entered || [before, after].some(({ phase }) => causeOf(phase) === 'stable_unavailable');
  return { route: raised || entered || !samePlace(before.phase, after.phase), pods };
}

/** Pods that cannot run were listed by the API server itself; counts come from a Deployment that may be a copy. */
function restsOnCounts({ phase }: Rollout, workloads: Workloads | null): boolean {
  if (workloads === null || (workloads.canary.ok && workloads.canary.crash?.fatal === true)) return false;
  return phase.name === 'ended' || (phase.name === 'rolling_back' && COUNTED.has(phase.reason));
}

const COUNTED: ReadonlySet<RollbackReason> = new Set(['canary_crashed', 'canary_unready']);

function raises(rollout: Rollout, seen: Observation): boolean {
  const weight = weightToWrite(rollout, seen);
  return weight !== null && seen.route?.ok === true && weight > seen.route.canaryWeight;
}

const causeOf = (phase: Phase): string | null => (phase.name === 'paused' ? phase.cause : null);

const samePlace = (a: Phase, b: Phase): boolean => a.name === b.name && causeOf(a) === causeOf(b);

async function readWorkloads(meshes: Lookout['meshes'], rollout: Rollout, fresh: boolean): Promise<Workloads> {
  const { target } = rollout.plan;
  const [stable, canary] = await Promise.all([
    meshes.workload(target, 'stable', { fresh }),
    meshes.workload(target, 'canary', { fresh }),
  ]);
  return { stable, canary };
}

/** An API server that does not answer the second look must not undo the reason to go back that the first one gave. */
function known(now: Workloads | null, before: Workloads | null): Workloads | null {
  if (now === null || before === null) return now ?? before;
  const better = (role: keyof Workloads): Workload =>
    now[role].ok || now[role].code === 'not_found' ? now[role] : before[role];
  return { stable: better('stable'), canary: better('canary') };
}
