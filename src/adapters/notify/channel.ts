/** What one file in `channels/` provides: how a kind of channel is told. Delivery, retries and bounds are not its business. */
import type { z } from 'zod';
import type { Subject, ToldFact } from '../../app/subject.ts';
import type { AlertKind } from '../../domain/alert.ts';
import type { Instant } from '../../domain/plan.ts';

/** Everything in it stays as it is, so that a repeat says the same in the same words. */
export interface Alert {
  /** The same at each attempt. */
  readonly id: string;
  readonly kind: AlertKind;
  readonly fact: ToldFact;
  readonly subject: Subject;
  /** The page of the subject; null: there is none. */
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

/** Of an alert that tells of an end: "succeeded", "failed"; null: it has not ended. */
export const endedAs = ({ kind, fact }: Alert): string | null =>
  kind === 'ended' ? String(fact.data['status']) : null;
