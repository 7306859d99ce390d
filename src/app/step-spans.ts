/**
 * The span above all others of a step: made once, by whoever commits the step's end. A process that dies right after that
 * leaves the trace without it; the other spans stand.
 */
import type { Instant } from '../domain/plan.ts';
import { weightAt } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { statusOf } from '../domain/rollout.ts';
import type { Commit, Logger, RolloutStore } from './ports.ts';
import type { Attributes, StepAt, Tracer } from './tracer.ts';
import { stepAt } from './tracer.ts';

export interface StepStarts {
  /** When the first fact of the step happened; null: there is none. */
  began(at: StepAt): Promise<Instant | null>;
}

export interface StepSpanPorts {
  readonly tracer: Tracer;
  readonly starts: StepStarts;
  readonly log: Logger;
}

/** The same store, whose commits tell where a step is over. */
export const withStepSpans = <Store extends RolloutStore>(store: Store, ports: StepSpanPorts): Store => ({
  ...store,
  async commit(change) {
    const committed = await store.commit(change);
    if (committed && isOver(change) && ports.tracer.traceOf(stepAt(change.previous)) !== null)
      await tell(ports, change);
    return committed;
  },
});

const isOver = ({ previous, next }: Commit): boolean =>
  stepAt(previous).step !== stepAt(next).step || (next.phase.name === 'ended' && previous.phase.name !== 'ended');

/** Never throws: the step is over, whatever can be told of it. */
async function tell({ tracer, starts, log }: StepSpanPorts, { previous, next, at }: Commit): Promise<void> {
  const step = stepAt(previous);
  try {
    // The first step of a rollout that takes another back is where that one stood: its own history begins with itself.
    const began = previous.reverts === undefined ? await starts.began(step) : null;
    tracer.stepEnded(step, began ?? previous.createdAt, at, attributesOf(previous, next));
  } catch (error) {
    log.warn({ rolloutId: previous.id, err: error }, 'the span of a step that is over could not be made');
  }
}

function attributesOf({ plan, phase }: Rollout, next: Rollout): Attributes {
  const { cluster, namespace, service, mesh } = plan.target;
  return {
    'sluice.cluster': cluster,
    'sluice.namespace': namespace,
    'sluice.service': service,
    'sluice.mesh': mesh,
    'sluice.status': statusOf(next),
    ...(phase.name === 'pending' ? {} : { 'sluice.weight': weightAt(plan, phase.step) }),
    ...(next.phase.name === 'ended' ? { 'sluice.outcome': next.phase.outcome.code } : {}),
  };
}
