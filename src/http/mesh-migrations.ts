/** Migrations of mTLS from PERMISSIVE to STRICT: start, look, abort. */
import { z } from 'zod';
import { migrationSchema } from '../app/migration/schema.ts';
import type { AbortMigrationResult, MigrationUseCases, StartMigrationResult } from '../app/migration/usecases.ts';
import { refuses } from '../app/severity.ts';
import { everyOf } from '../domain/migration/advance.ts';
import type { Before, Migration, MigrationFact } from '../domain/migration/migration.ts';
import { isLive, MIGRATION_STATUSES, statusOf, wantedOf } from '../domain/migration/migration.ts';
import { forbidden } from './auth.ts';
import { hashOf } from './document.ts';
import type { MigrationSummary } from './mesh-migration-schemas.ts';
import { listBody, migrationBody, migrationDetail } from './mesh-migration-schemas.ts';
import * as params from './params.ts';
import type { Fault, Refused } from './problem.ts';
import { refuse } from './problem.ts';
import { presentFinding, urlOf } from './resource.ts';
import { linkToNext } from './rollouts.ts';
import type { Context, Route } from './route.ts';
import { route } from './route.ts';
import { described, named } from './schemas.ts';
import { told } from './validate.ts';

export interface MigrationRoutes {
  readonly migrations: MigrationUseCases;
  readonly publicUrl: string | undefined;
}

/** Only let through: the use case reads it, and points at what is wrong in it. */
const planBody = z.record(z.string(), z.unknown());

/** Its history is as long as its changes: dozens. */
const FACTS = 1000;

const EXAMPLE = {
  cluster: 'default',
  scope: { workload: 'myapp-v1', namespace: 'production' },
  quiet: '10m',
  watch: '10m',
};

const migrationId = z.object({
  id: params.parameterOf('The id of the migration.', { type: 'string' }, z.string()),
});

const only = (what: string) =>
  params.parameterOf(`Only migrations of this ${what}.`, { type: 'string' }, z.string().max(253).optional());

const abortion = named(
  'AbortMigrationBody',
  'May be left out.',
  z.strictObject({
    reason: described('Why, for the history.', z.string().max(500).optional()),
    giveUp: described(
      'A person has taken over a way back that cannot be written: it ends as failed. Role: admin.',
      z.boolean().optional(),
    ),
    expectedStatus: described(
      'The state that the decision rests on. In another one the answer is 412, and nothing happens.',
      z.enum(MIGRATION_STATUSES).optional(),
    ),
  }),
);

const HEADERS = {
  Location: 'The migration.',
  ETag: 'Its version.',
  'Retry-After': 'Seconds until a look is worth the while.',
};

export function migrationRoutes({ migrations, publicUrl }: MigrationRoutes): readonly Route[] {
  const accepted = (migration: Migration, more: Readonly<Record<string, string>> = {}) => ({
    status: 202 as const,
    headers: {
      Location: linkOf(migration.id, publicUrl),
      ETag: `"${migration.version}"`,
      ...(isLive(migration) ? { 'Retry-After': String(Math.ceil(everyOf(migration.plan) / 1000)) } : {}),
      ...more,
    },
    body: present(migration, publicUrl),
  });

  return [
    route({
      method: 'post',
      path: '/mesh-migrations',
      operationId: 'startMeshMigration',
      summary: 'Migrate a workload, a namespace or the mesh from PERMISSIVE to STRICT',
      description:
        'STRICT is written once nobody has called in plaintext for the time quiet, and watched for the time watch: where connections fail or a caller loses its traffic, the mode goes back by itself. 202: a migration was started, or the one that this key started before.',
      can: 'start',
      audit: 'migration.start',
      headers: z.object({ 'idempotency-key': params.idempotencyKey }),
      body: {
        schema: planBody,
        required: true,
        component: 'MeshMigrationPlan',
        shown: migrationSchema,
        example: EXAMPLE,
      },
      responses: {
        202: {
          description: 'The migration has been accepted.',
          body: migrationBody,
          headers: { ...HEADERS, 'Idempotent-Replayed': 'true: this key had started it before.' },
        },
      },
      problems: ['invalid_migration', 'preflight_failed', 'idempotency_key_reused', 'migration_in_progress'],
      async handle({ headers, body, principal, locate }) {
        const key = headers['idempotency-key'];
        const result = await migrations.start(body, principal, key === undefined ? null : { key, hash: hashOf(body) });
        if (result.kind === 'created') return accepted(result.migration);
        if (result.kind === 'replayed') return accepted(result.migration, { 'Idempotent-Replayed': 'true' });
        return refusal(result, publicUrl, locate);
      },
    }),

    route({
      method: 'get',
      path: '/mesh-migrations',
      operationId: 'listMeshMigrations',
      summary: 'List migrations of mTLS, newest first',
      can: 'read',
      query: z.strictObject({
        status: params.statesOf('migrations', MIGRATION_STATUSES),
        cluster: only('cluster'),
        namespace: only('namespace'),
        limit: params.limit(50),
        cursor: params.cursor,
      }),
      responses: {
        200: {
          description: 'One page.',
          body: listBody,
          headers: { Link: 'rel="next": the next page, where there is one.' },
        },
      },
      problems: [],
      async handle({ query: { limit, cursor, ...filter } }) {
        const { items, nextCursor } = await migrations.list(filter, limit, cursor ?? null);
        const given = Object.entries(filter).filter(([, value]) => value !== undefined);
        const more = nextCursor === null ? null : { ...Object.fromEntries(given), limit, cursor: nextCursor };
        return {
          status: 200,
          headers: linkToNext(urlOf('/mesh-migrations', publicUrl), more),
          body: { items: items.map((migration) => present(migration, publicUrl)), nextCursor },
        };
      },
    }),

    route({
      method: 'get',
      path: '/mesh-migrations/{id}',
      operationId: 'getMeshMigration',
      summary: 'One migration of mTLS, with its history',
      can: 'read',
      params: migrationId,
      responses: {
        200: { description: 'The migration and its facts.', body: migrationDetail, headers: { ETag: 'Its version.' } },
      },
      problems: ['migration_not_found'],
      async handle({ params: { id } }) {
        const migration = params.isRolloutId(id) ? await migrations.get(id) : null;
        if (migration === null) return notFound(id);
        const facts = await migrations.facts(id, 0, FACTS);
        return {
          status: 200,
          headers: { ETag: `"${migration.version}"`, 'Cache-Control': 'private, no-cache' },
          body: { ...present(migration, publicUrl), facts: facts.map(presentFact) },
        };
      },
    }),

    route({
      method: 'post',
      path: '/mesh-migrations/{id}/abort',
      operationId: 'abortMeshMigration',
      summary: 'Stop a migration; the mode goes back where STRICT was written',
      can: 'abort',
      audit: 'migration.abort',
      auditOf: (body) => (body.giveUp === true ? 'migration.give_up' : 'migration.abort'),
      reserved: true,
      params: migrationId,
      body: { schema: abortion, required: false, example: { reason: 'a caller was forgotten' } },
      responses: {
        202: { description: 'Accepted, or on its way back already.', body: migrationBody, headers: HEADERS },
      },
      problems: ['migration_not_found', 'migration_ended', 'moved_on', 'forbidden'],
      async handle({ params: { id }, body: { reason, giveUp = false, expectedStatus }, principal }) {
        const refused = giveUp ? forbidden(principal, 'give_up') : null;
        if (refused !== null) return refused;
        if (!params.isRolloutId(id)) return notFound(id);
        const asked = { reason: reason ?? null, giveUp, expected: expectedStatus };
        return aborted(await migrations.abort(id, principal, asked), id, accepted);
      },
    }),
  ];
}

function aborted(
  result: AbortMigrationResult,
  id: string,
  accepted: (migration: Migration) => { status: 202; headers: Record<string, string>; body: MigrationSummary },
) {
  switch (result.kind) {
    case 'done':
      return accepted(result.migration);
    case 'ended':
      return refuse('migration_ended', `migration ${id} is ${statusOf(result.migration)}`);
    case 'moved_on':
      return refuse('moved_on', `migration ${id} is ${statusOf(result.migration)} by now; nothing was done`);
    case 'not_found':
      return notFound(id);
    default:
      return result satisfies never;
  }
}

const notFound = (id: string): Refused<'migration_not_found'> =>
  refuse('migration_not_found', `no migration has the id ${JSON.stringify(id.slice(0, 100))}`);

const linkOf = (id: string, publicUrl: string | undefined): string => urlOf(`/mesh-migrations/${id}`, publicUrl);

type NotStarted = Exclude<StartMigrationResult, { readonly migration: Migration }>;
type StartRefusal = 'invalid_migration' | 'preflight_failed' | 'idempotency_key_reused' | 'migration_in_progress';
type Locate = Context<unknown, unknown, unknown, unknown>['locate'];

function refusal(result: NotStarted, publicUrl: string | undefined, locate: Locate): Refused<StartRefusal> {
  switch (result.kind) {
    case 'invalid': {
      const errors: Fault[] = result.problems.map(({ pointer, code, message }) => ({
        pointer,
        code,
        detail: message,
        ...locate(pointer),
      }));
      return refuse('invalid_migration', told(errors), { errors });
    }
    case 'preflight_failed': {
      const failed = result.findings.filter(refuses).map((found) => `${found.check}: ${found.message}`);
      return refuse('preflight_failed', failed.join('; '), { more: { findings: result.findings.map(presentFinding) } });
    }
    case 'key_reused': {
      const detail = 'this Idempotency-Key came before with another body';
      return refuse('idempotency_key_reused', detail, {
        errors: [{ header: 'idempotency-key', code: 'reused', detail }],
      });
    }
    case 'conflict': {
      const { live } = result;
      return refuse('migration_in_progress', `migration ${live.id} of this scope is ${statusOf(live)}`, {
        headers: { Link: `<${linkOf(live.id, publicUrl)}>; rel="related"` },
      });
    }
    default:
      return result satisfies never;
  }
}

const timeOf = (at: number): string => new Date(at).toISOString();

function present(migration: Migration, publicUrl: string | undefined): MigrationSummary {
  const { id, plan, phase, trouble } = migration;
  const { scope } = plan;
  const strict = phase.name === 'strict' ? phase.inForceAt : null;
  const wanted = wantedOf(migration);
  return {
    id,
    status: statusOf(migration),
    cluster: plan.cluster,
    mesh: plan.mesh,
    scope: {
      kind: scope.kind,
      namespace: scope.namespace,
      workload: scope.kind === 'workload' ? scope.deployment : null,
    },
    policy: { ...plan.policy },
    wantedMode: wanted === null ? null : (wanted.mode ?? 'UNSET'),
    quietMs: plan.quiet,
    watchMs: plan.watch,
    patienceMs: plan.patience,
    callers: phase.name === 'guarding' || phase.name === 'paused' ? phase.callers.map(presentCaller) : [],
    pause:
      phase.name === 'paused' ? { cause: phase.cause, message: phase.message, since: timeOf(phase.pausedAt) } : null,
    before: phase.name === 'strict' || phase.name === 'rolling_back' ? presentBefore(phase.before) : null,
    inForceAt: strict === null ? null : timeOf(strict),
    trouble: trouble === null ? null : { code: trouble.code, message: trouble.message, since: timeOf(trouble.since) },
    outcome: phase.name === 'rolling_back' || phase.name === 'ended' ? { ...phase.outcome } : null,
    createdAt: timeOf(migration.createdAt),
    createdBy: migration.createdBy,
    endedAt: phase.name === 'ended' ? timeOf(phase.at) : null,
    version: migration.version,
    links: { self: linkOf(id, publicUrl) },
  };
}

type Plaintext = Extract<Migration['phase'], { name: 'guarding' }>['callers'][number];
const presentCaller = ({ workload, namespace, called, protocol, calls }: Plaintext) => ({
  source_workload: workload,
  source_workload_namespace: namespace,
  called,
  protocol,
  calls,
});

const presentBefore = ({ mode, traffic }: Before): MigrationSummary['before'] => ({
  mode,
  windowMs: traffic.window,
  calls: traffic.calls,
  failures: traffic.failures,
  callers: traffic.callers.map(({ workload, namespace, rps }) => ({
    source_workload: workload,
    source_workload_namespace: namespace,
    perSecond: rps,
  })),
});

const presentFact = ({ at, data, ...fact }: MigrationFact) => ({ ...fact, at: timeOf(at), data: { ...data } });
