/** Path, query and header values: text on the wire, checked and turned into what the use cases take. */
import { z } from 'zod';
import { PAST } from '../app/backtest.ts';
import { DELIVERY_STATES } from '../app/deliveries.ts';
import { durationSchema } from '../app/units.ts';
import type { Millis } from '../domain/plan.ts';
import { STATUSES } from './schemas.ts';

/** How a parameter is described to callers: to them a limit is an integer, not text that a pattern accepts. */
export const parameterSchemas = z.registry<{
  readonly json: Readonly<Record<string, unknown>>;
  readonly description: string;
}>();

export function parameterOf<T extends z.ZodType>(description: string, json: Record<string, unknown>, schema: T): T {
  parameterSchemas.add(schema, { json, description });
  return schema;
}

/** One value given once. `found` is quoted back, so that a misspelt pipeline variable shows. */
const text = (wanted: string) =>
  z.string({
    error: ({ input }) =>
      Array.isArray(input) ? `wanted one value; found ${input.length}` : `wanted ${wanted}; found nothing`,
  });

const quote = (input: unknown): string => JSON.stringify(String(input).slice(0, 100));
const matching = (pattern: RegExp, wanted: string) =>
  text(wanted).regex(pattern, { error: ({ input }) => `wanted ${wanted}; found ${quote(input)}` });

const whole = (min: number, max: number) => {
  const wanted = `a whole number from ${min} to ${max}`;
  return matching(/^\d{1,16}$/, wanted)
    .transform(Number)
    .refine((n) => n >= min && n <= max, { error: ({ input }) => `wanted ${wanted}; found ${input}` });
};

export const limit = (fallback: number, most = 200) =>
  parameterOf(
    'Items per page.',
    { type: 'integer', minimum: 1, maximum: most, default: fallback },
    whole(1, most).prefault(String(fallback)),
  );

export const cursor = parameterOf(
  'nextCursor of the page before.',
  { type: 'string' },
  matching(/^[\x21-\x7e]{1,512}$/, 'a cursor as it was given in nextCursor').optional(),
);

export const after = parameterOf(
  'Only facts with a higher seq.',
  { type: 'integer', minimum: 0, default: 0 },
  whole(0, Number.MAX_SAFE_INTEGER).optional(),
);

export const flag = (description: string) =>
  parameterOf(
    description,
    { type: 'boolean', default: false },
    matching(/^(?:true|false)$/, 'true or false')
      .transform((value) => value === 'true')
      .prefault('false'),
  );

/** Names of clusters, namespaces and services: compared, never interpreted. */
export const name = (what: string) =>
  parameterOf(
    `Only rollouts of this ${what}.`,
    { type: 'string' },
    matching(/^[^\p{Cc}\p{Cs}]{1,253}$/u, `the name of a ${what}`).optional(),
  );

export const cluster = parameterOf(
  "A cluster's name in the configuration.",
  { type: 'string' },
  matching(/^[^\p{Cc}\p{Cs}]{1,253}$/u, 'the name of a cluster'),
);

export const mesh = parameterOf(
  'A kind of mesh, as in target.mesh of a plan.',
  { type: 'string', default: 'istio', examples: ['istio', 'linkerd-smi', 'gateway-api'] },
  matching(/^[a-z0-9][-a-z0-9]{0,62}$/, 'a kind of mesh, like istio').prefault('istio'),
);

export const proxy = parameterOf(
  'Whose proxies carry routes of the Gateway API out; other meshes have one kind.',
  { type: 'string', enum: ['istio', 'linkerd'], default: 'linkerd' },
  z.enum(['istio', 'linkerd'], { error: ({ input }) => `wanted istio or linkerd; found ${quote(input)}` }).optional(),
);

export const inNamespace = parameterOf(
  'Also looks at this namespace.',
  { type: 'string' },
  matching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'the name of a namespace').optional(),
);

/** A name that goes into a plan, whose own schema has the last word. */
export const answer = (description: string, pattern: string) =>
  parameterOf(
    description,
    { type: 'string', pattern: `^${pattern}$` },
    matching(new RegExp(`^${pattern}$`), 'a name of a-z, 0-9, "-" and "."').optional(),
  );

export const oneOf = <const T extends readonly [string, ...string[]]>(description: string, known: T) =>
  parameterOf(
    description,
    { type: 'string', enum: known },
    z.enum(known, { error: ({ input }) => `wanted one of ${known.join(', ')}; found ${quote(input)}` }).optional(),
  );

/** `of`: what may be in those states. "?status=paused&status=failed" and "?status=paused,failed" are the same. */
export const statesOf = <const S extends string>(of: string, all: readonly S[]) =>
  parameterOf(
    `Only ${of} in these states; repeatable, or separated by commas.`,
    { type: 'array', items: { type: 'string', enum: [...all] } },
    z
      .union([z.string(), z.array(z.string())])
      .transform((given) => [given].flat().flatMap((part) => part.split(',')))
      .pipe(z.array(z.enum(all, { error: ({ input }) => `wanted one of ${all.join(', ')}; found ${quote(input)}` })))
      .optional(),
  );
export const statuses = statesOf('rollouts', STATUSES);

export const time = (description: string) =>
  parameterOf(
    description,
    { type: 'string', format: 'date-time' },
    text('a time')
      .pipe(
        z.iso.datetime({
          offset: true,
          error: ({ input }) =>
            `wanted a time like 2026-01-31T12:00:00Z (a + in an offset is written %2B); found ${quote(input)}`,
        }),
      )
      .transform((given) => Date.parse(given))
      .optional(),
  );

export const since = time('Only rollouts created at or after this time.');

const UNITS: Readonly<Record<string, Millis>> = { ms: 1, s: 1000, m: 60_000, '': 1000 };

export const wait = parameterOf(
  'Long poll: wait for a change for so long, at most 60 s ("30s", "500ms", "1m", or whole seconds).',
  { type: 'string', pattern: '^\\d{1,6}(ms|s|m)?$', examples: ['30s'] },
  matching(/^\d{1,6}(?:ms|s|m)?$/, 'a time like 30s, 500ms or 1m')
    .transform((value): Millis => {
      const unit = /[a-z]*$/.exec(value)?.[0] ?? '';
      return Number.parseInt(value, 10) * (UNITS[unit] ?? 1000);
    })
    .optional(),
);

export const past = parameterOf(
  `How far back to look, from ${PAST.least} to ${PAST.most}, where the body does not say.`,
  { type: 'string', default: '4h', examples: ['4h'] },
  text('a time').pipe(durationSchema(PAST.least, PAST.most)).optional(),
);

export const sinceVersion = parameterOf(
  'Long poll: the version that the caller knows; answered at once where the rollout is newer.',
  { type: 'integer', minimum: 0 },
  whole(0, Number.MAX_SAFE_INTEGER).optional(),
);

export const rolloutId = z.object({ id: parameterOf('The id of the rollout.', { type: 'string' }, z.string()) });

export const fleetId = z.object({ id: parameterOf('The id of the fleet rollout.', { type: 'string' }, z.string()) });

export const deliveryId = z.object({ id: parameterOf('The id of the delivery.', { type: 'string' }, z.string()) });

/** "<channel>:<what it is about>:<...>". */
export const isDeliveryId = (id: string): boolean =>
  /^[a-z0-9.-]{1,63}:[A-Za-z0-9_-]{1,64}:[A-Za-z0-9:-]{1,100}$/.test(id);

export const ofRollout = parameterOf(
  'Only deliveries about this rollout, fleet rollout or migration.',
  { type: 'string' },
  matching(/^[A-Za-z0-9_-]{1,64}$/, 'an id').optional(),
);

export const channel = parameterOf(
  'Only deliveries to this channel.',
  { type: 'string' },
  matching(/^[a-z0-9.-]{1,63}$/, 'the name of a channel').optional(),
);

export const deliveryState = parameterOf(
  'Only deliveries in this state.',
  { type: 'string', enum: DELIVERY_STATES },
  z
    .enum(DELIVERY_STATES, {
      error: ({ input }) => `wanted one of ${DELIVERY_STATES.join(', ')}; found ${quote(input)}`,
    })
    .optional(),
);

/** Only such ids are ever given out; anything else names no rollout, and need not reach the database. */
export const isRolloutId = (id: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(id);

export const idempotencyKey = parameterOf(
  'A repeat with the same key and the same body gets the same rollout instead of a second one.',
  { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' },
  matching(/^[\x21-\x7e]{1,255}$/, '1 to 255 visible ASCII characters without spaces').optional(),
);

/** A weakened tag (a proxy that compresses weakens it) names the same version: the number alone identifies it. */
const ETAG = /^(?:W\/)?"(\d{1,16})"$/;

/** undefined: any version will do. */
export const ifMatch = parameterOf(
  'The ETag that the decision rests on; 412 where the rollout has moved on. "*" matches any.',
  { type: 'string' },
  z
    .string()
    .refine((tag) => tag.trim() === '*' || ETAG.test(tag.trim()), {
      error: ({ input }) => `wanted one ETag like "17" with its quotes, or *; found ${quote(input)}`,
    })
    .transform((tag) => (tag.trim() === '*' ? undefined : Number(ETAG.exec(tag.trim())?.[1])))
    .optional(),
);

export type KnownVersions = 'any' | ReadonlySet<number>;

/** Tags of other makers are no error here: they match nothing. */
export const ifNoneMatch = parameterOf(
  'ETags that the caller has; 304 where the present one is among them.',
  { type: 'string' },
  z
    .string()
    .transform((tags): KnownVersions => {
      if (tags.trim() === '*') return 'any';
      const versions = tags.split(',').flatMap((tag) => ETAG.exec(tag.trim())?.[1] ?? []);
      return new Set(versions.map(Number));
    })
    .optional(),
);

/** RFC 7240. Preferences that are not understood are ignored, as it wants. */
export const prefer = parameterOf(
  'wait=30: long poll for 30 seconds, like ?wait=30s.',
  { type: 'string' },
  z
    .string()
    .transform((preferences): Millis | undefined => {
      const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?\s*(?:$|[,;])/i.exec(preferences)?.[1];
      return seconds === undefined ? undefined : Number(seconds) * 1000;
    })
    .optional(),
);

export const END_EVENT_ID = 'end';

/** The stream's last event has an id of its own: who has seen it is told not to come back. */
export const lastEventId = parameterOf(
  'id of the last event received: the stream goes on after it.',
  { type: 'string' },
  matching(/^(?:\d{1,16}|end)$/, 'the id of an event of this stream')
    .transform((id) => (id === END_EVENT_ID ? END_EVENT_ID : Number(id)))
    .optional(),
);

export const accept = parameterOf(
  'text/event-stream: the live stream; anything else: JSON.',
  { type: 'string' },
  z.string().optional(),
);
