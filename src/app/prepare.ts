/**
 * Preparations beside the route: looked at before the reducer decides, brought about after its decision was committed. The
 * traffic comes first: on the way back nothing here is asked before weight 0 was read back.
 */
import { isBack, isPromoted } from '../domain/advance.ts';
import type { Observation, PreparationLook } from '../domain/observation.ts';
import type { PreparationTask } from '../domain/preparation.ts';
import { tasksBack, tasksForward } from '../domain/preparation.ts';
import { isFenced, preparationFailed } from '../domain/prepared.ts';
import type { Rollout } from '../domain/rollout.ts';
import type { Logger, PreparationGateway } from './ports.ts';

/** Preparations that matter now. Never throws: a bug in one of them must not keep traffic from going back. */
export async function lookBeside(
  gateway: PreparationGateway | undefined,
  rollout: Rollout,
  { route, workloads }: Pick<Observation, 'route' | 'workloads'>,
  log?: Logger,
): Promise<readonly PreparationLook[]> {
  const promoted = isPromoted(rollout, route);
  const tasks =
    promoted || isBack(rollout, route)
      ? tasksBack(rollout, promoted)
      : route === null
        ? []
        : tasksForward(rollout, workloads);
  return Promise.all(tasks.map((task) => lookAt(gateway, task, log)));
}

async function lookAt(
  gateway: PreparationGateway | undefined,
  task: PreparationTask,
  log: Logger | undefined,
): Promise<PreparationLook> {
  const { leaving } = task;
  const { kind } = task.preparation;
  if (gateway === undefined)
    return { ok: false, kind, leaving, gone: false, message: `this process carries out no ${kind} steps` };
  try {
    return await gateway.look(task);
  } catch (error) {
    log?.error({ err: error, preparation: kind }, 'a preparation threw: this is a bug');
    return {
      ok: false,
      kind,
      leaving,
      gone: false,
      message: `${kind} failed: ${error instanceof Error ? error.message : error}`,
    };
  }
}

/**
 * Writes what the committed rollout wants of the preparations that were looked at, each at most once: what becomes of it is
 * for the next look. Answers what a refused write leaves to be remembered; null: nothing.
 */
export async function bringBeside(
  gateway: PreparationGateway | undefined,
  rollout: Rollout,
  seen: Observation,
  log: Logger,
): Promise<Rollout | null> {
  const looks = seen.preparations ?? [];
  if (gateway === undefined || looks.length === 0) return null;
  const tasks = [
    ...tasksForward(rollout, seen.workloads),
    ...(isBack(rollout, seen.route) || isPromoted(rollout, seen.route)
      ? tasksBack(rollout, isPromoted(rollout, seen.route))
      : []),
  ];
  let failed: Rollout | null = null;
  for (const task of tasks) {
    const look = looks.find(({ kind, leaving }) => kind === task.preparation.kind && leaving === task.leaving);
    const trouble = look?.ok === true ? await one(gateway, task, look, log) : null;
    if (trouble !== null) failed = preparationFailed(failed ?? rollout, task.preparation.kind, trouble) ?? failed;
  }
  return failed;
}

/** null: written, not to be written, or somebody else wrote first. */
async function one(
  gateway: PreparationGateway,
  task: PreparationTask,
  look: Extract<PreparationLook, { ok: true }>,
  log: Logger,
): Promise<string | null> {
  const { prepared } = task;
  if (prepared === null) return null;
  const order =
    prepared.state === 'wanted' && task.leaving === null
      ? gateway.bring(task, prepared.token)
      : prepared.state === 'withdrawn'
        ? look.ours
          ? gateway.takeBack(task, look.token)
          : isFenced(prepared, look)
            ? null
            : gateway.fence(task, look.token)
        : null;
  if (order === null) return null;
  const written = await order;
  log.info({ preparation: prepared.kind, result: written.kind }, `${prepared.object}: ${wordsOf(written)}`);
  return written.kind === 'trouble' ? written.message : null;
}

const wordsOf = (written: Awaited<ReturnType<PreparationGateway['bring']>>): string => {
  switch (written.kind) {
    case 'written':
      return 'written';
    case 'conflict':
      return 'the object changed since it was read; looking again';
    case 'trouble':
      return written.message;
    default:
      return written satisfies never;
  }
};
