/** Starting rollouts and looking at them. */
import { z } from 'zod';
import type { Principal } from '../app/ports.ts';
import { refuses } from '../app/severity.ts';
import type { StartResult, UseCases } from '../app/usecases.ts';
import type { Rollout } from '../domain/rollout.ts';
import { isLive, statusOf, stepOf } from '../domain/rollout.ts';
import { presentDryRun } from './analysis-resource.ts';
import { dryRunSchema } from './analysis-schemas.ts';
import { hashOf } from './document.ts';
import { foreignSchema, givenPlan, importParameters, mayBeSeveral } from './imports.ts';
import * as params from './params.ts';
import type { Fault, ProblemCode, Refused } from './problem.ts';
import { refuse } from './problem.ts';
import { etagOf, linkOf, present, presentFinding, urlOf } from './resource.ts';
import type { Context, Route } from './route.ts';
import { route } from './route.ts';
import type { ImportBody } from './schemas.ts';
import { described, importSchema, named, rolloutListSchema, rolloutSchema } from './schemas.ts';
import { told } from './validate.ts';
import { waited } from './wait.ts';

export interface RolloutRoutes {
  readonly usecases: UseCases;
  readonly publicUrl: string | undefined;
  /** Longest long poll in milliseconds. */
  readonly maxWait: number;
}

/** Seconds after which a look at a new rollout is worth the while. */
const LOOK_AGAIN = '5';

export const EXAMPLE = {
  target: {
    cluster: 'default',
    namespace: 'production',
    service: 'myapp',
    mesh: 'istio',
    virtualService: { name: 'myapp', route: 'api' },
    stable: { host: 'myapp', subset: 'v1', deployment: 'myapp-v1' },
    canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' },
  },
  steps: [
    { weight: 5, hold: '2m' },
    { weight: 50, hold: '5m', approval: 'required' },
  ],
  analysis: { interval: '10s', failureLimit: 2, checks: [{ name: 'errors', kind: 'error-rate', max: '1%' }] },
};

const planDocument = named('PlanDocument', 'A plan as it was sent.', z.record(z.string(), z.unknown()));

const imported = described(
  'Where documents of Flagger or Argo were sent in place of a plan: what was made of them.',
  importSchema.optional(),
);
const startedSchema = z.intersection(rolloutSchema, z.object({ import: imported }));
const importedDryRunSchema = z.intersection(dryRunSchema, z.object({ import: imported }));

export const START_REFUSALS = [
  'invalid_plan',
  'unsupported_step',
  'preflight_failed',
  'idempotency_key_reused',
  'rollout_in_progress',
] as const;
export type StartRefusal = (typeof START_REFUSALS)[number];

export function rolloutRoutes({ usecases, publicUrl, maxWait }: RolloutRoutes): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/rollouts',
      operationId: 'startRollout',
      summary: 'Start a rollout',
      description:
        'The plan is checked against the cluster first; a plan that fails is refused and nothing is written. 202: a rollout was started, or the one that this key started before. 200: onConflict is join, and the live rollout of the target is the answer; or dryRun.',
      can: 'start',
      audit: 'rollout.start',
      query: z.strictObject({
        dryRun: params.flag('Only check the plan and preview it: nothing is written.'),
        ...importParameters,
      }),
      headers: z.object({ 'idempotency-key': params.idempotencyKey }),
      body: {
        schema: z.unknown(),
        required: true,
        component: 'Plan',
        orElse: foreignSchema,
        several: mayBeSeveral,
        example: EXAMPLE,
      },
      responses: {
        200: {
          description: 'The live rollout that was joined; or, with dryRun, the preview.',
          body: z.union([startedSchema, importedDryRunSchema]),
          headers: { Location: 'The rollout.', ETag: 'Its version.' },
        },
        202: {
          description: 'The rollout has been accepted.',
          body: startedSchema,
          headers: {
            Location: 'The rollout.',
            ETag: 'Its version.',
            'Retry-After': 'Seconds until a look is worth the while.',
            'Idempotent-Replayed': 'true: this key had started it before.',
          },
        },
      },
      problems: [...START_REFUSALS, 'not_importable', 'invalid_parameter'],
      async handle({ query: { dryRun, ...query }, headers, body, principal, locate: inBody }) {
        const given = givenPlan(body, query, inBody);
        if ('problem' in given) return given;
        const { document, imported } = given;
        // Pointers into the plan that was made say nothing of the text that was sent.
        const locate = imported === null ? inBody : () => null;
        if (dryRun) {
          const run = await usecases.dryRun(document, principal);
          if (run.kind === 'invalid') return withImport(invalidPlan(run.problems, locate), imported);
          return { status: 200, body: { ...presentDryRun(run), ...importOf(imported) } };
        }
        const asked = imported === null ? body : { body, query };
        const result = await usecases.start(document, principal, claimOf(headers['idempotency-key'], asked));
        const answer = started(result, publicUrl, locate, usecases.outside);
        if ('problem' in answer) return withImport(answer, imported);
        return { ...answer, body: { ...answer.body, ...importOf(imported) } };
      },
    }),

    route({
      method: 'get',
      path: '/rollouts',
      operationId: 'listRollouts',
      summary: 'List rollouts, newest first',
      can: 'read',
      query: z.strictObject({
        status: params.statuses,
        cluster: params.name('cluster'),
        namespace: params.name('namespace'),
        service: params.name('service'),
        since: params.since,
        limit: params.limit(50),
        cursor: params.cursor,
      }),
      responses: {
        200: {
          description: 'One page.',
          body: rolloutListSchema,
          headers: { Link: 'rel="next": the next page, where there is one.' },
        },
      },
      problems: [],
      async handle({ query }) {
        const { limit, cursor, status, cluster, namespace, service, since } = query;
        const filter = {
          ...(status === undefined ? {} : { status }),
          ...(cluster === undefined ? {} : { cluster }),
          ...(namespace === undefined ? {} : { namespace }),
          ...(service === undefined ? {} : { service }),
          ...(since === undefined ? {} : { since }),
        };
        const { items, nextCursor } = await usecases.list(filter, limit, cursor ?? null);
        const more = {
          ...filter,
          ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
          limit,
          cursor: nextCursor,
        };
        return {
          status: 200,
          headers: linkToNext(urlOf('/rollouts', publicUrl), nextCursor === null ? null : more),
          body: { items: items.map((r) => present(r, publicUrl, usecases.outside?.(r))), nextCursor },
        };
      },
    }),

    route({
      method: 'get',
      path: '/rollouts/{id}',
      operationId: 'getRollout',
      summary: 'One rollout, at once or at its next change',
      description:
        '?wait=30s&sinceVersion=n answers as soon as the version is above n, or after the wait with what there is. Without sinceVersion the wait is for the next change after the version in If-None-Match, or after the present one. An ended rollout is answered at once.',
      can: 'read',
      params: params.rolloutId,
      query: z.strictObject({ wait: params.wait, sinceVersion: params.sinceVersion }),
      headers: z.object({ 'if-none-match': params.ifNoneMatch, prefer: params.prefer }),
      responses: {
        200: {
          description: 'The rollout.',
          body: rolloutSchema,
          headers: { ETag: 'Its version.', 'Preference-Applied': 'The wait that was honoured.' },
        },
        304: { description: 'It is still at a version that the caller has.', headers: { ETag: 'Its version.' } },
      },
      problems: ['rollout_not_found', 'too_many_streams'],
      async handle(context) {
        const { id } = context.params;
        const { query, headers } = context;
        const asked = query.wait ?? headers.prefer ?? 0;
        const wait = Math.min(asked, maxWait);
        if (wait > 0 && !context.takeSlot()) return tooManyStreams(context.principal);
        const known = headers['if-none-match'];
        const since = query.sinceVersion ?? newestOf(known);
        const rollout = params.isRolloutId(id) ? await waited(usecases, id, since, wait, context) : null;
        if (rollout === null) return noRollout(id);
        const tags = {
          ETag: etagOf(rollout),
          'Cache-Control': 'private, no-cache',
          Vary: 'Authorization, Prefer',
          ...(headers.prefer === undefined || query.wait !== undefined
            ? {}
            : { 'Preference-Applied': `wait=${Math.floor(wait / 1000)}` }),
        };
        if (known === 'any' || known?.has(rollout.version) === true) return { status: 304, headers: tags };
        return { status: 200, headers: tags, body: present(rollout, publicUrl, usecases.outside?.(rollout)) };
      },
    }),

    route({
      method: 'get',
      path: '/rollouts/{id}/plan',
      operationId: 'getPlan',
      summary: 'The plan as it was sent',
      can: 'read',
      params: params.rolloutId,
      responses: { 200: { description: 'The plan, as JSON.', body: planDocument } },
      problems: ['rollout_not_found'],
      async handle({ params: { id } }) {
        const rollout = await found(usecases, id);
        if ('problem' in rollout) return rollout;
        return {
          status: 200,
          headers: { 'Cache-Control': 'private, max-age=3600' },
          body: (await usecases.source(id)) as Record<string, unknown>,
        };
      },
    }),
  ];
}

const importOf = (imported: ImportBody | null) => (imported === null ? {} : { import: imported });

/** A refusal of a plan that was made of other documents: with what was made of them. */
const withImport = <C extends ProblemCode>(refused: Refused<C>, imported: ImportBody | null): Refused<C> =>
  imported === null ? refused : { ...refused, more: { ...refused.more, import: imported } };

const newestOf = (known: params.KnownVersions | undefined): number | undefined =>
  known === undefined || known === 'any' || known.size === 0 ? undefined : Math.max(...known);

const claimOf = (key: string | undefined, body: unknown): { readonly key: string; readonly hash: string } | null =>
  key === undefined ? null : { key, hash: hashOf(body) };

export const noRollout = (id: string): Refused<'rollout_not_found'> =>
  refuse('rollout_not_found', `no rollout has the id ${JSON.stringify(id.slice(0, 100))}`);

export const tooManyStreams = (principal: Principal): Refused<'too_many_streams'> =>
  refuse('too_many_streams', `${principal.name} holds too many streams and long polls open`, {
    headers: { 'Retry-After': '5' },
  });

/** The rollout of that id. An id that was never given out is not looked for. */
export async function found(
  usecases: Pick<UseCases, 'get'>,
  id: string,
): Promise<Rollout | Refused<'rollout_not_found'>> {
  const rollout = params.isRolloutId(id) ? await usecases.get(id) : null;
  return rollout ?? noRollout(id);
}

/** rel="next" of RFC 8288. null: there is no next page. */
export function linkToNext(path: string, query: Readonly<Record<string, unknown>> | null): Record<string, string> {
  if (query === null) return {};
  const search = new URLSearchParams(
    Object.entries(query).map(([key, value]): [string, string] => [key, String(value)]),
  );
  return { Link: `<${path}?${search.toString()}>; rel="next"` };
}

type Locate = Context<unknown, unknown, unknown, unknown>['locate'];

export function invalidPlan(
  problems: Extract<StartResult, { kind: 'invalid' }>['problems'],
  locate: Locate,
): Refused<'invalid_plan' | 'unsupported_step'> {
  const errors: Fault[] = problems.map(({ pointer, code, message }) => ({
    pointer,
    code,
    detail: message,
    ...locate(pointer),
  }));
  // A plan that is right but for its mesh is told apart: nothing in it can be corrected.
  const unsupported = errors.length > 0 && errors.every(({ code }) => code === 'unsupported_step');
  return refuse(unsupported ? 'unsupported_step' : 'invalid_plan', told(errors), { errors });
}

function started(result: StartResult, publicUrl: string | undefined, locate: Locate, outside: UseCases['outside']) {
  switch (result.kind) {
    case 'created':
      return accepted(result.rollout, publicUrl, outside);
    case 'replayed':
      return accepted(result.rollout, publicUrl, outside, { 'Idempotent-Replayed': 'true' });
    case 'joined': {
      const { rollout } = result;
      const headers = { Location: linkOf(rollout.id, publicUrl), ETag: etagOf(rollout) };
      return { status: 200 as const, headers, body: present(rollout, publicUrl, outside?.(rollout)) };
    }
    default:
      return startRefusal(result, publicUrl, locate);
  }
}

type NotStarted = Exclude<StartResult, { readonly rollout: Rollout }>;

/** Why no rollout was started, whether by a plan or by a retry. */
export function startRefusal(result: NotStarted, publicUrl: string | undefined, locate: Locate): Refused<StartRefusal> {
  switch (result.kind) {
    case 'invalid':
      return invalidPlan(result.problems, locate);
    case 'preflight_failed': {
      const failed = result.findings.filter(refuses).map((f) => `${f.check}: ${f.message}`);
      return refuse('preflight_failed', failed.join('; '), { more: { findings: result.findings.map(presentFinding) } });
    }
    case 'key_reused': {
      const detail = 'this Idempotency-Key came before with another body';
      return refuse('idempotency_key_reused', detail, {
        errors: [{ header: 'idempotency-key', code: 'reused', detail }],
      });
    }
    case 'conflict':
      return inProgress(result.live, publicUrl);
    default:
      return result satisfies never;
  }
}

export function inProgress(live: Rollout, publicUrl: string | undefined): Refused<'rollout_in_progress'> {
  const { cluster, namespace, service } = live.plan.target;
  const detail = `rollout ${live.id} of ${cluster}/${namespace}/${service} is ${statusOf(live)}`;
  return refuse('rollout_in_progress', detail, {
    headers: { Link: `<${linkOf(live.id, publicUrl)}>; rel="related"` },
    more: { rollout: briefly(live, publicUrl) },
  });
}

export const accepted = (
  rollout: Rollout,
  publicUrl: string | undefined,
  outside: UseCases['outside'],
  more: Readonly<Record<string, string>> = {},
) => ({
  status: 202 as const,
  headers: {
    Location: linkOf(rollout.id, publicUrl),
    ETag: etagOf(rollout),
    ...(isLive(rollout) ? { 'Retry-After': LOOK_AGAIN } : {}),
    ...more,
  },
  body: present(rollout, publicUrl, outside?.(rollout)),
});

/** Enough of a rollout to decide what to do about it. */
export const briefly = (rollout: Rollout, publicUrl: string | undefined) => ({
  id: rollout.id,
  status: statusOf(rollout),
  step: stepOf(rollout),
  version: rollout.version,
  link: linkOf(rollout.id, publicUrl),
});
