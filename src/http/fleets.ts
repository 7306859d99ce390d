/** Fleet rollouts: one plan, cluster after cluster in waves. */
import { z } from 'zod';
import { fleetDocument } from '../app/fleet/document.ts';
import type { FleetCommandResult, FleetStartResult, FleetUseCases } from '../app/fleet/ports.ts';
import { refuses } from '../app/severity.ts';
import type { FleetCommand, FleetExpectation } from '../domain/fleet/advance.ts';
import { fleetAwaits } from '../domain/fleet/advance.ts';
import type { Fleet, FleetFact, FleetSpec } from '../domain/fleet/fleet.ts';
import { FLEET_STATUSES, fleetStatus } from '../domain/fleet/fleet.ts';
import { type Instant, meshObjectOf } from '../domain/plan.ts';
import { forbidden } from './auth.ts';
import { reason } from './commands.ts';
import { hashOf } from './document.ts';
import { detailSchema, dryRunSchema, fleetSchema, listSchema } from './fleet-schemas.ts';
import * as params from './params.ts';
import type { Refused } from './problem.ts';
import { refuse } from './problem.ts';
import { linkOf, presentFinding, urlOf } from './resource.ts';
import { EXAMPLE, invalidPlan, linkToNext } from './rollouts.ts';
import type { Context, Route } from './route.ts';
import { route } from './route.ts';
import { described, named } from './schemas.ts';

export interface FleetRoutes {
  readonly fleets: FleetUseCases;
  readonly publicUrl: string | undefined;
}

const { cluster: _, ...anyTarget } = EXAMPLE.target;
const FLEET_EXAMPLE = {
  plan: { ...EXAMPLE, target: anyTarget },
  waves: [
    { name: 'first', clusters: ['east'], bake: '10m', approval: 'required' },
    { name: 'rest', clusters: ['west', 'north'] },
  ],
  onFailure: 'all',
};

const START = ['invalid_plan', 'unsupported_step', 'preflight_failed', 'idempotency_key_reused'] as const;
const COMMANDS = [
  'forbidden',
  'fleet_not_found',
  'not_waiting',
  'finished',
  'rolling_back',
  'not_rolling_back',
  'moved_on',
] as const;

const expecting = {
  expectedWave: described(
    'Index of the wave that the decision rests on, from 0. At another one the answer is 412, and nothing happens.',
    z.int().min(0).max(19).optional(),
  ),
  expectedAwaiting: described(
    'The question that the decision answers (the field awaiting; null: none). Where another one is open the answer is 412.',
    z.enum(['approval', 'failed']).nullable().optional(),
  ),
};
const expectedBy = ({
  expectedWave,
  expectedAwaiting,
}: {
  expectedWave?: number | undefined;
  expectedAwaiting?: FleetExpectation['awaiting'];
}) => ({ wave: expectedWave, awaiting: expectedAwaiting });
const plain = named('FleetPromoteBody', 'May be left out.', z.strictObject({ reason, ...expecting }));
const abortion = named(
  'FleetAbortBody',
  'May be left out.',
  z.strictObject({
    reason,
    ...expecting,
    giveUp: described(
      'A person has taken over what could not be brought back: it ends as failed. Role: admin.',
      z.boolean().optional(),
    ),
  }),
);

export function fleetRoutes({ fleets, publicUrl }: FleetRoutes): readonly Route[] {
  const accepted202 = {
    202: {
      description: 'Accepted, or fulfilled already.',
      body: fleetSchema,
      headers: { Location: 'The fleet rollout.' },
    },
  } as const;
  return [
    route({
      method: 'post',
      path: '/fleet-rollouts',
      operationId: 'startFleetRollout',
      summary: 'Start a rollout over several clusters, in waves',
      description:
        'The plan (without target.cluster) is checked against every cluster of every wave first; where one refuses it, nothing is written anywhere. Each cluster then gets a rollout of its own, wave after wave.',
      can: 'start',
      audit: 'fleet.start',
      query: z.strictObject({ dryRun: params.flag('Only check every cluster: nothing is written.') }),
      headers: z.object({ 'idempotency-key': params.idempotencyKey }),
      body: {
        schema: z.unknown(),
        required: true,
        component: 'FleetPlan',
        shown: fleetDocument,
        example: FLEET_EXAMPLE,
      },
      responses: {
        200: { description: 'With dryRun: what the clusters say.', body: dryRunSchema },
        202: {
          ...accepted202[202],
          headers: { ...accepted202[202].headers, 'Idempotent-Replayed': 'true: this key had started it before.' },
        },
      },
      problems: START,
      async handle({ query, headers, body, principal, locate }) {
        if (query.dryRun) {
          const run = await fleets.dryRun(body, principal);
          if (run.kind === 'invalid') return invalidPlan(run.problems, locate);
          const { accepted, findings } = run;
          return { status: 200 as const, body: { accepted, findings: findings.map(presentFinding) } };
        }
        const key = headers['idempotency-key'];
        const claim = key === undefined ? null : { key, hash: hashOf(body) };
        return started(await fleets.start(body, principal, claim), publicUrl, locate);
      },
    }),
    route({
      method: 'get',
      path: '/fleet-rollouts',
      operationId: 'listFleetRollouts',
      summary: 'List fleet rollouts, newest first',
      can: 'read',
      query: z.strictObject({
        status: params.statesOf('fleet rollouts', FLEET_STATUSES),
        limit: params.limit(50),
        cursor: params.cursor,
      }),
      responses: {
        200: {
          description: 'One page.',
          body: listSchema,
          headers: { Link: 'rel="next": the next page, where there is one.' },
        },
      },
      problems: [],
      async handle({ query: { limit, cursor, status } }) {
        const { items, nextCursor } = await fleets.list({ status }, limit, cursor ?? null);
        return {
          status: 200 as const,
          headers: linkToNext(
            urlOf('/fleet-rollouts', publicUrl),
            nextCursor === null ? null : { ...(status === undefined ? {} : { status }), limit, cursor: nextCursor },
          ),
          body: { items: items.map((fleet) => presentFleet(fleet, publicUrl)), nextCursor },
        };
      },
    }),
    route({
      method: 'get',
      path: '/fleet-rollouts/{id}',
      operationId: 'getFleetRollout',
      summary: 'One fleet rollout, with the rollouts of its clusters and its history',
      can: 'read',
      params: params.fleetId,
      responses: { 200: { description: 'The fleet rollout.', body: detailSchema } },
      problems: ['fleet_not_found'],
      async handle({ params: { id } }) {
        const found = await fleets.get(id);
        if (found === null) return noFleet(id);
        const body = { ...presentFleet(found.fleet, publicUrl), history: found.facts.map(presentFact) };
        return { status: 200 as const, body };
      },
    }),
    route({
      method: 'post',
      path: '/fleet-rollouts/{id}/promote',
      operationId: 'promoteFleetRollout',
      summary: 'Let the next wave begin',
      description: 'Answers an approval, cuts a bake short, or goes on without a wave that failed (onFailure: pause).',
      can: 'promote',
      audit: 'fleet.promote',
      params: params.fleetId,
      body: { schema: plain, required: false, example: { expectedWave: 0, expectedAwaiting: 'approval' } },
      responses: accepted202,
      problems: COMMANDS,
      async handle({ params: { id }, body, principal }) {
        const command: FleetCommand = {
          name: 'promote',
          ...(body.reason === undefined ? {} : { reason: body.reason }),
        };
        return answered(await fleets.command(id, command, principal, expectedBy(body)), id, publicUrl);
      },
    }),
    route({
      method: 'post',
      path: '/fleet-rollouts/{id}/abort',
      operationId: 'abortFleetRollout',
      summary: 'Take every wave back, the last one first',
      can: 'abort',
      audit: 'fleet.abort',
      auditOf: (body) => (body.giveUp === true ? 'fleet.give_up' : 'fleet.abort'),
      reserved: true,
      params: params.fleetId,
      body: { schema: abortion, required: false, example: { reason: 'west is failing' } },
      responses: accepted202,
      problems: COMMANDS,
      async handle({ params: { id }, body, principal }) {
        const name = body.giveUp === true ? 'give_up' : 'abort';
        const command: FleetCommand = { name, reason: body.reason ?? '' };
        const refused = name === 'give_up' ? forbidden(principal, 'give_up') : null;
        return refused ?? answered(await fleets.command(id, command, principal, expectedBy(body)), id, publicUrl);
      },
    }),
  ];
}

const noFleet = (id: string): Refused<'fleet_not_found'> =>
  refuse('fleet_not_found', `no fleet rollout has the id ${JSON.stringify(id.slice(0, 100))}`);

function started(
  result: FleetStartResult,
  publicUrl: string | undefined,
  locate: Context<unknown, unknown, unknown, unknown>['locate'],
) {
  switch (result.kind) {
    case 'created':
      return accepted(result.fleet, publicUrl);
    case 'replayed':
      return accepted(result.fleet, publicUrl, { 'Idempotent-Replayed': 'true' });
    case 'invalid':
      return invalidPlan(result.problems, locate);
    case 'preflight_failed': {
      const failed = result.findings.filter(refuses).map((f) => `${f.check}: ${f.message}`);
      return refuse('preflight_failed', failed.join('; '), { more: { findings: result.findings.map(presentFinding) } });
    }
    case 'key_reused':
      return refuse('idempotency_key_reused', 'this Idempotency-Key came before with another body');
    default:
      return result satisfies never;
  }
}

function answered(result: FleetCommandResult, id: string, publicUrl: string | undefined) {
  switch (result.kind) {
    case 'done':
      return accepted(result.fleet, publicUrl);
    case 'refused':
      return refuse(result.refusal.code, result.refusal.message);
    case 'not_found':
      return noFleet(id);
    default:
      return result satisfies never;
  }
}

const accepted = (fleet: Fleet, publicUrl: string | undefined, more: Readonly<Record<string, string>> = {}) => ({
  status: 202 as const,
  headers: { Location: urlOf(`/fleet-rollouts/${fleet.id}`, publicUrl), ...more },
  body: presentFleet(fleet, publicUrl),
});

/** The plan was checked with every cluster before it was stored. */
function targetOf({ plan }: FleetSpec) {
  const target = plan['target'] as Readonly<Record<'namespace' | 'service' | 'mesh', string>>;
  const { namespace, service, mesh } = target;
  return { namespace, service, mesh, object: meshObjectOf(target) };
}

const timeOf = (at: Instant): string => new Date(at).toISOString();

function presentFleet(fleet: Fleet, publicUrl: string | undefined): z.input<typeof fleetSchema> {
  const { id, spec, phase, children, createdAt, createdBy, version } = fleet;
  return {
    id,
    status: fleetStatus(fleet),
    target: targetOf(spec),
    wave: phase.wave,
    message: 'message' in phase ? phase.message : null,
    awaiting: fleetAwaits(fleet),
    onFailure: spec.onFailure,
    waves: spec.waves.map(({ name, approval, bake }, i) => ({
      name,
      approval,
      bakeMs: bake,
      clusters: (children[i] ?? []).map(({ held, rollout, ...child }) => ({
        ...child,
        rollout,
        held: held?.message ?? null,
        link: rollout === null ? null : linkOf(rollout, publicUrl),
      })),
    })),
    createdAt: timeOf(createdAt),
    createdBy,
    endedAt: phase.name === 'ended' ? timeOf(phase.at) : null,
    version,
    link: urlOf(`/fleet-rollouts/${id}`, publicUrl),
  };
}

/** `data` repeats what the sentence and the fleet rollout say. */
const presentFact = ({ at, data: _, ...fact }: FleetFact) => ({ ...fact, at: timeOf(at) });
