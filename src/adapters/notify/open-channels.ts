/** The channels of an installation: each entry of its file, by the module of its kind. */
import { UnknownName } from '../../app/ports.ts';
import type { Instant } from '../../domain/plan.ts';
import type { Outbound } from '../outbound/post.ts';
import type { Alert, ChannelModule, ChannelRequest } from './channel.ts';

export interface ChannelSettings {
  readonly name: string;
  readonly kind: string;
  /** Is it told of plans that name no channels? */
  readonly usual: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface OpenChannel {
  readonly name: string;
  request(alert: Alert, at: Instant): ChannelRequest;
}

/** Throws UnknownName for an unknown kind, and Error that names the channel and the field, never a value. */
export const openChannels = (
  all: readonly ChannelSettings[],
  kinds: ReadonlyMap<string, ChannelModule<unknown>>,
  { objection }: Pick<Outbound, 'objection'>,
): readonly OpenChannel[] =>
  all.map(({ name, kind, settings }) => {
    const module = kinds.get(kind);
    if (module === undefined) throw new UnknownName(`kind of channel "${name}"`, kind, [...kinds.keys()]);
    const parsed = module.settings.safeParse(settings);
    if (!parsed.success) {
      const problems = parsed.error.issues.map(({ path, message }) => `/${path.join('/')}: ${message}`);
      throw new Error(`channel "${name}" (${kind}): ${problems.join('; ')}`);
    }
    const { data } = parsed;
    const { url } = data as { readonly url?: string };
    const against = url === undefined ? null : objection(url);
    if (against !== null) throw new Error(`channel "${name}" (${kind}): /url: ${against}`);
    return { name, request: (alert, at) => module.request(data, alert, at) };
  });
