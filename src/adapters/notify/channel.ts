/** What one file in `channels/` provides: how a kind of channel is told. Delivery, retries and bounds are not its business. */
import type { z } from 'zod';
import type { AlertKind } from '../../domain/alert.ts';
import type { Instant } from '../../domain/plan.ts';
import type { Fact, Rollout } from '../../domain/rollout.ts';

/** Everything in it stays as it is, so that a repeat says the same in the same words. */
export interface Alert {
  /** The same at each attempt. */
  readonly id: string;
  readonly kind: AlertKind;
  readonly fact: Fact;
  readonly rollout: Pick<Rollout, 'id' | 'plan' | 'createdBy' | 'createdAt'>;
  /** The page of the rollout; null: there is none. */
  readonly link: string | null;
}

export interface ChannelRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ChannelModule<Settings> {
  readonly kind: string;
  /** Its entry in the channels' file, with the values of secrets in the place of their names. Messages never show a value. */
  readonly settings: z.ZodType<Settings>;
  /** `at`: when it is sent. */
  request(settings: Settings, alert: Alert, at: Instant): ChannelRequest;
}

export const defineChannel = <Settings>(module: ChannelModule<Settings>): ChannelModule<Settings> => module;

export const JSON_HEADERS = { 'content-type': 'application/json', 'user-agent': 'Sluice' } as const;

/** "myapp (default/production)". */
export const targetWords = ({ rollout: { plan } }: Alert): string =>
  `${plan.target.service} (${plan.target.cluster}/${plan.target.namespace})`;

/** Of an alert that tells of an end: "succeeded", "failed"; null: it has not ended. */
export const endedAs = ({ kind, fact }: Alert): string | null =>
  kind === 'ended' ? String(fact.data['status']) : null;
