/** What happened: facts, measurements, writes to the mesh. */
import { z } from 'zod';
import type { UseCases } from '../app/usecases.ts';
import type { Millis } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { isLive, statusOf } from '../domain/rollout.ts';
import * as params from './params.ts';
import {
  linkOf,
  presentBlock,
  presentFact,
  presentHealth,
  presentMeasurement,
  presentSetup,
  presentTraces,
  presentWrite,
} from './resource.ts';
import { found, linkToNext, tooManyStreams } from './rollouts.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';
import {
  evidenceListSchema,
  factListSchema,
  measurementListSchema,
  traceListSchema,
  writeListSchema,
} from './schemas.ts';
import { streamFacts } from './stream.ts';

export interface HistoryRoutes {
  readonly usecases: UseCases;
  readonly publicUrl: string | undefined;
  readonly heartbeat: Millis;
  readonly now: () => Millis;
}

const NEXT = { Link: 'rel="next": the next page, where there is one.' };
const STREAM = 'text/event-stream';

const wantsStream = (accept: string | undefined): boolean =>
  (accept ?? '').split(',').some((part) => {
    const [type = '', ...weights] = part.split(';').map((p) => p.trim().toLowerCase());
    return type === STREAM && !weights.some((w) => /^q=0(\.0*)?$/.test(w));
  });

/** A rollout that ended before its first step had nothing to take back. */
const wentBack = (rollout: Rollout): boolean =>
  rollout.generation > 0 &&
  ['rolling_back', 'rolled_back', 'aborted', 'superseded', 'failed'].includes(statusOf(rollout));

const NO_TRACES = { traces: [], search: null, waiting: false } as const;

export function historyRoutes({ usecases, publicUrl, heartbeat, now }: HistoryRoutes): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/rollouts/{id}/events',
      operationId: 'getEvents',
      summary: 'The facts of a rollout: a page, or a live stream',
      description:
        'With "Accept: text/event-stream" it is a live stream of server-sent events: id is the seq, event the type, data the fact as JSON. Last-Event-ID (or ?after=) resumes without loss or repeat. After the last fact of an ended rollout comes an event named end, whose data is the rollout; who comes back after it gets 204. With ?state=true the rollout itself comes too, in events named state without an id.',
      can: 'read',
      params: params.rolloutId,
      query: z.strictObject({
        after: params.after,
        limit: params.limit(100),
        state: params.flag('The stream also has an event `state` with the rollout, at first and after each change.'),
      }),
      headers: z.object({ accept: params.accept, 'last-event-id': params.lastEventId }),
      responses: {
        200: {
          description: 'Facts after `after`; or the stream.',
          body: factListSchema,
          stream: STREAM,
          headers: NEXT,
        },
        204: { description: 'The stream has ended; there is nothing to come back for.' },
      },
      problems: ['rollout_not_found', 'too_many_streams'],
      async handle(context) {
        const { id } = context.params;
        const { limit } = context.query;
        const rollout = await found(usecases, id);
        if ('problem' in rollout) return rollout;
        const last = context.headers['last-event-id'];
        const vary = { Vary: 'Accept, Authorization' };
        if (wantsStream(context.headers.accept)) {
          if (last === params.END_EVENT_ID && !isLive(rollout)) return { status: 204, headers: vary };
          if (!context.takeSlot()) return tooManyStreams(context.principal);
          const after = typeof last === 'number' ? last : (context.query.after ?? 0);
          const { state } = context.query;
          const { gone, stopping, stillAllowed } = context;
          return {
            status: 200,
            headers: { ...vary, 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' },
            stream: (sink) =>
              streamFacts(usecases, sink, {
                id,
                after,
                state,
                heartbeat,
                now,
                gone,
                stopping,
                stillAllowed,
                publicUrl,
              }),
          };
        }
        const after = context.query.after ?? 0;
        const facts = await usecases.facts(id, after, limit + 1);
        const items = facts.slice(0, limit).map(presentFact);
        const nextAfter = facts.length > limit ? (items.at(-1)?.seq ?? null) : null;
        const next = linkToNext(
          linkOf(id, publicUrl, 'events'),
          nextAfter === null ? null : { after: nextAfter, limit },
        );
        return { status: 200, headers: { ...vary, ...next }, body: { items, nextAfter } };
      },
    }),

    route({
      method: 'get',
      path: '/rollouts/{id}/measurements',
      operationId: 'getMeasurements',
      summary: 'Every evaluation of every check, with its query and value',
      can: 'read',
      params: params.rolloutId,
      query: z.strictObject({ limit: params.limit(100), cursor: params.cursor }),
      responses: { 200: { description: 'One page.', body: measurementListSchema, headers: NEXT } },
      problems: ['rollout_not_found'],
      async handle({ params: { id }, query: { limit, cursor } }) {
        const rollout = await found(usecases, id);
        if ('problem' in rollout) return rollout;
        const { items, nextCursor } = await usecases.measurements(id, limit, cursor ?? null);
        const headers = linkToNext(
          linkOf(id, publicUrl, 'measurements'),
          nextCursor === null ? null : { limit, cursor: nextCursor },
        );
        return { status: 200, headers, body: { items: items.map(presentMeasurement), nextCursor } };
      },
    }),

    route({
      method: 'get',
      path: '/rollouts/{id}/traces',
      operationId: 'getTraces',
      summary: "Failing traces of the canary, and how Kiali saw it, kept at the rollout's rollback",
      description:
        'Most requests are never traced (1 % by default with Istio): that no trace was found does not say that no request failed.',
      can: 'read',
      params: params.rolloutId,
      query: z.strictObject({
        now: params.flag('Asks the tracing now, for the last half hour of the rollout, and keeps nothing.'),
      }),
      responses: { 200: { description: 'All of them, the newest first.', body: traceListSchema } },
      problems: ['rollout_not_found'],
      async handle({ params: { id }, query: { now } }) {
        const rollout = await found(usecases, id);
        if ('problem' in rollout) return rollout;
        if (now) {
          const found = await usecases.tracesNow(id);
          return { status: 200, body: presentTraces(found ?? NO_TRACES, { began: true, asked: found !== null }, null) };
        }
        const { jaeger = null, kiali = null } = usecases.outside?.(rollout) ?? {};
        const began = wentBack(rollout);
        const [traces, kept] = await Promise.all([usecases.traces(id), usecases.meshHealth(id)]);
        const health = presentHealth(kept, { began, asked: kiali !== null });
        return { status: 200, body: presentTraces(traces, { began, asked: jaeger !== null }, health) };
      },
    }),

    route({
      method: 'get',
      path: '/rollouts/{id}/writes',
      operationId: 'getWrites',
      summary: 'Every write to the mesh object, and every attempt',
      can: 'read',
      params: params.rolloutId,
      query: z.strictObject({ limit: params.limit(100), cursor: params.cursor }),
      responses: { 200: { description: 'One page.', body: writeListSchema, headers: NEXT } },
      problems: ['rollout_not_found'],
      async handle({ params: { id }, query: { limit, cursor } }) {
        const rollout = await found(usecases, id);
        if ('problem' in rollout) return rollout;
        const { items, nextCursor } = await usecases.writes(id, limit, cursor ?? null);
        const headers = linkToNext(
          linkOf(id, publicUrl, 'writes'),
          nextCursor === null ? null : { limit, cursor: nextCursor },
        );
        return { status: 200, headers, body: { items: items.map(presentWrite), nextCursor } };
      },
    }),

    route({
      method: 'get',
      path: '/rollouts/{id}/evidence',
      operationId: 'getEvidence',
      summary: 'How both versions are compared, and every block of counts with what the evidence then said',
      description:
        'The blocks are all that the judge has seen: with the setup, every verdict can be computed again from those up to it.',
      can: 'read',
      params: params.rolloutId,
      query: z.strictObject({ limit: params.limit(100), cursor: params.cursor }),
      responses: {
        200: {
          description: 'One page; setup null: the plan wants no comparison.',
          body: evidenceListSchema,
          headers: NEXT,
        },
      },
      problems: ['rollout_not_found'],
      async handle({ params: { id }, query: { limit, cursor } }) {
        const rollout = await found(usecases, id);
        if ('problem' in rollout) return rollout;
        const [{ items, nextCursor }, ledger] = await Promise.all([
          usecases.evidence(id, limit, cursor ?? null),
          usecases.ledger(id),
        ]);
        const headers = linkToNext(
          linkOf(id, publicUrl, 'evidence'),
          nextCursor === null ? null : { limit, cursor: nextCursor },
        );
        const setup = ledger === null ? null : presentSetup(ledger);
        return { status: 200, headers, body: { setup, items: items.map(presentBlock), nextCursor } };
      },
    }),
  ];
}
