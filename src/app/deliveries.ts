/** Who is told of a commit, and under which id: decided in the transaction of the commit, so that nothing is told twice or never. */
import { alertsOf } from '../domain/alert.ts';
import type { AfterWebhook, Plan } from '../domain/plan.ts';
import type { Fact, Rollout } from '../domain/rollout.ts';

/** Name of the channel that tells the webhooks `after` of plans. No configured channel has it. */
export const AFTER = 'after';

/** What people are told of. */
export const SUBJECT_KINDS = ['rollout', 'fleet', 'migration'] as const;
export type SubjectKind = (typeof SUBJECT_KINDS)[number];
export interface About {
  readonly kind: SubjectKind;
  readonly id: string;
}

/** `dead`: given up after days. */
export const DELIVERY_STATES = ['pending', 'delivered', 'dead'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export interface Post {
  readonly channel: string;
  /** Unique in the channel, and the same at each attempt. */
  readonly id: string;
  /** The fact that is told. */
  readonly seq: number;
}

/** `usual`: channels of the installation for plans that name none. A name that is known no more keeps its messages waiting, and that shows. */
export function alertPosts(
  previous: Rollout,
  next: Rollout,
  facts: readonly Fact[],
  usual: readonly string[],
): readonly Post[] {
  const { id, plan } = next;
  return alertsOf(previous, next, facts).flatMap(({ seq, type }) => [
    ...(plan.notify ?? usual).map((channel) => ({ channel, id: `${id}:${seq}`, seq })),
    ...(type === 'ended' ? afterWebhooks(plan) : []).map(({ name }) => ({
      channel: AFTER,
      id: afterId(id, name),
      seq,
    })),
  ]);
}

const afterWebhooks = ({ webhooks = [] }: Plan): readonly AfterWebhook[] =>
  webhooks.filter((webhook) => webhook.gate === 'after');

const afterId = (rollout: string, webhook: string): string => `${rollout}:${webhook}:after`;

/** The webhook that a message of the channel `after` is for; null: the plan has none of that name. */
export const afterOf = (plan: Plan, id: string): AfterWebhook | null =>
  afterWebhooks(plan).find(({ name }) => id.endsWith(afterId('', name))) ?? null;
