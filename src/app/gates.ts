/** The gates of a plan are asked: what is due by the rollout's row, all at once, within the deadline of the look. */
import type { GateQuestion } from '../domain/gates.ts';
import { questionsDue } from '../domain/gates.ts';
import type { GateAnswer } from '../domain/observation.ts';
import type { Instant } from '../domain/plan.ts';
import { weightAt } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { stepOf } from '../domain/rollout.ts';
import type { GateKeeper, Logger } from './ports.ts';

export interface GatePorts {
  /** Absent: this process asks nobody, and no gate opens. */
  readonly gates?: GateKeeper;
  readonly log: Logger;
}

type Said = Pick<GateAnswer, 'decision' | 'message'>;

/** `orElse`: the answer, or after the look's deadline something else instead. */
export const askGates = (
  { gates, log }: GatePorts,
  rollout: Rollout,
  at: Instant,
  orElse: <T>(answer: Promise<T>, late: () => T) => Promise<T>,
): Promise<readonly GateAnswer[]> =>
  Promise.all(
    questionsDue(rollout, at).map(async (question): Promise<GateAnswer> => {
      const asked =
        gates === undefined
          ? Promise.resolve(unavailable('this process asks no gates'))
          : gates.ask(question, questionBody(rollout, question, at)).catch((error: unknown) => {
              log.error({ err: error, gate: question.webhook.name }, 'asking a gate threw: this is a bug');
              return unavailable('it could not be asked, by a bug that the log has');
            });
      const said = await orElse(asked, () => unavailable('it did not answer in time'));
      return { question: question.id, ...said };
    }),
  );

const unavailable = (message: string): Said => ({ decision: 'unavailable', message });

/** What a gate gets to read. Public fields only: nothing of how this installation reaches its clusters. */
export function questionBody(rollout: Rollout, { id, webhook, to, attempt }: GateQuestion, at: Instant): string {
  const { plan, createdBy, observedWeight } = rollout;
  const { cluster, namespace, service, mesh } = plan.target;
  return JSON.stringify({
    type: 'gate.asked',
    timestamp: new Date(at).toISOString(),
    data: {
      question: id,
      attempt,
      webhook: webhook.name,
      gate: webhook.gate,
      rollout: { id: rollout.id, cluster, namespace, service, mesh, createdBy, labels: plan.labels },
      step: stepOf(rollout),
      nextStep: to,
      steps: plan.steps.length,
      weight: observedWeight,
      nextWeight: weightAt(plan, to),
    },
  });
}
