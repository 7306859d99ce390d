/** Where preparations are carried out: finds for each task the file in `preparations/` that has it to do, and its cluster. */
import type { PreparationGateway } from '../app/ports.ts';
import { UnknownName } from '../app/ports.ts';
import type { Finding } from '../app/usecases.ts';
import type { PreparationLook } from '../domain/observation.ts';
import type { Plan } from '../domain/plan.ts';
import type { Preparation, PreparationTask } from '../domain/preparation.ts';
import { replicasFor } from '../domain/preparation.ts';
import type { Clusters } from './clusters.ts';
import type { KubeClient, KubeObject } from './kubernetes/kube.ts';
import { readWorkload } from './kubernetes/workloads.ts';
import type { MeshModule } from './mesh.ts';
import type { PreparationModule, Seen } from './preparation.ts';
import { notServed } from './prepare/served.ts';
import { meshFor, type Preparations } from './registry.ts';
import { ownsField, writersOf } from './routes/writers.ts';

interface PostOptions {
  readonly clusters: Clusters;
  readonly meshes: ReadonlyMap<string, MeshModule>;
  readonly preparations: Preparations;
  /** false: this process only looks; the rights to write are another's. */
  readonly writesHere: boolean;
}

export function openPreparations({ clusters, meshes, preparations, writesHere }: PostOptions): PreparationGateway {
  const kubeOf = ({ target }: PreparationTask): KubeClient => {
    const found = clusters.get(target.cluster);
    if (found === undefined) throw new UnknownName('cluster', target.cluster, [...clusters.keys()]);
    return found.kube;
  };
  const waysOf = (kind: Preparation['kind']): readonly PreparationModule[] =>
    [...preparations.values()].filter(({ prepares }) => prepares === kind).toSorted((a, b) => a.order - b.order);
  const wayOf = ({ prepared }: PreparationTask): PreparationModule => {
    const name = prepared?.way ?? '';
    const way = preparations.get(name);
    if (way === undefined) throw new UnknownName('preparation', name, [...preparations.keys()]);
    return way;
  };

  /** Pods are given to, and taken from, the Deployment whose pods the version's own Service selects, and to no other. */
  async function foreign(task: PreparationTask): Promise<Seen | null> {
    if (task.preparation.kind !== 'scale' || task.leaving !== null) return null;
    return notServed(kubeOf(task), task, meshFor(meshes, task.target.mesh).serviceOf(task.target, 'canary'));
  }

  async function see(task: PreparationTask): Promise<{ readonly way: PreparationModule; readonly seen: Seen }> {
    const ways = task.prepared === null ? waysOf(task.preparation.kind) : [wayOf(task)];
    for (const way of ways) {
      const seen = (await foreign(task)) ?? (await way.look(kubeOf(task), task));
      if (seen !== null) return { way, seen };
    }
    throw new Error(`nothing carries out ${task.preparation.kind}: its file in preparations/ is missing`);
  }

  async function preview(plan: Plan): Promise<readonly Finding[]> {
    const kube = clusters.get(plan.target.cluster)?.kube;
    if (kube === undefined) return [];
    const relative = plan.steps.some(({ prepares }) => prepares?.kind === 'scale' && !('replicas' in prepares.to));
    const read = (role: 'stable' | 'canary') =>
      readWorkload(kube, plan.target.namespace, plan.target[role].deployment, { fresh: true });
    const workloads = relative ? { stable: await read('stable'), canary: await read('canary') } : null;
    const found = plan.steps.map(async ({ prepares }, step): Promise<readonly Finding[]> => {
      if (prepares === undefined) return [];
      const check = `step-${step + 1}-${prepares.kind}`;
      const replicas = prepares.kind === 'scale' ? replicasFor(prepares, plan, step, workloads) : null;
      if (prepares.kind === 'scale' && replicas === null)
        return [{ check, level: 'unknown', message: 'how many pods the stable deployment wants was not read' }];
      const task: PreparationTask = {
        rollout: '',
        target: plan.target,
        step,
        preparation: prepares,
        replicas,
        prepared: null,
        leaving: null,
      };
      const { way, seen } = await see(task);
      if (!seen.ok) return [{ check, level: AWAY.has(seen.code) ? 'unknown' : 'fail', message: seen.message }];
      const about = `${seen.object}: ${seen.message}`;
      const lacking = writesHere ? await lacks(kube, way, plan) : [];
      if (lacking.length > 0)
        return [
          {
            check,
            level: 'fail',
            message: `${about}, and Sluice may not write it: it lacks ${lacking.join(', ')} in namespace ${plan.target.namespace}. Set rbac.${prepares.kind}=true in the chart, or grant it`,
          },
        ];
      const others = seen.read === null ? [] : appliers(seen.read, way.field);
      return [
        { check, level: 'pass', message: about },
        ...others.map(
          (manager): Finding => ({
            check,
            level: 'warn',
            message: `${seen.object}: ${manager} applies spec.${way.field} and would put it back; leave spec.${way.field} out of what it applies`,
          }),
        ),
        ...unrest(prepares, way, check),
      ];
    });
    return (await Promise.all(found)).flat();
  }

  return {
    async look(task) {
      const { kind } = task.preparation;
      const { way, seen } = await see(task);
      return lookOf(task, kind, way, seen);
    },
    bring: async (task, token) => wayOf(task).bring(kubeOf(task), task, token),
    takeBack: async (task, token) => wayOf(task).takeBack(kubeOf(task), task, token),
    fence: async (task, token) => wayOf(task).fence(kubeOf(task), task, token),
    preview,
  };
}

function lookOf(
  { step, replicas, leaving }: PreparationTask,
  kind: Preparation['kind'],
  { name }: PreparationModule,
  seen: Seen,
): PreparationLook {
  if (!seen.ok) return { ok: false, kind, leaving, gone: seen.code === 'not_found', message: seen.message };
  const { read: _, ...rest } = seen;
  return { ...rest, kind, leaving, step, replicas, way: name };
}

/** Out of reach is no fault of the plan: the rollout would wait. */
const AWAY: ReadonlySet<string> = new Set(['timeout', 'unavailable']);

/** Rights that are missing: "patch deployments.apps/scale". What cannot be asked is not held against the plan. */
async function lacks(kube: KubeClient, { rbac }: PreparationModule, { target }: Plan): Promise<readonly string[]> {
  const wanted = rbac.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((plural) => verbs.map((verb) => ({ group, plural, verb })))),
  );
  const allowed = await Promise.all(
    wanted.map(({ group, plural, verb }) =>
      kube.canI(verb, { group, version: '', plural, namespace: target.namespace, name: '' }),
    ),
  );
  return wanted
    .filter((_, at) => allowed[at]?.ok === true && !allowed[at].value)
    .map(({ group, plural, verb }) => `${verb} ${plural}${group === '' ? '' : ` of ${group}`}`);
}

/** Other tools that keep the field as they have it (server-side apply). */
const appliers = (object: KubeObject, field: string): readonly string[] =>
  writersOf(object)
    .filter((writer) => writer.operation === 'Apply' && ownsField(writer, field) === true)
    .map(({ manager }) => manager);

/** KEDA scales up from nothing by itself. */
const unrest = (preparation: Preparation, { name }: PreparationModule, check: string): readonly Finding[] =>
  preparation.kind === 'scale' && preparation.onRollback === 'zero' && name === 'scale-keda'
    ? [
        {
          check,
          level: 'warn',
          message:
            'onRollback: zero has no effect where KEDA scales: it would start pods again by itself. After a rollback spec.minReplicaCount is put back',
        },
      ]
    : [];
