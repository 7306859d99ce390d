/** For probes, scrapers and tools. */
import { z } from 'zod';
import type { Recorder } from '../app/ports.ts';
import type { Lifecycle } from './lifecycle.ts';
import { parameterOf } from './params.ts';
import { PROBLEM_CODES, PROBLEMS, refuse } from './problem.ts';
import type { Ready } from './readiness.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';
import { named } from './schemas.ts';

export interface OpsRoutes {
  readonly recorder: Pick<Recorder, 'expose'>;
  readonly ready: Ready;
  readonly life: Lifecycle;
  readonly version: string;
  /** /metrics without a token. */
  readonly metricsOpen: boolean;
  readonly planSchema: Readonly<Record<string, unknown>>;
  /** Later: the document lists the routes that these are among. */
  readonly document: () => Readonly<Record<string, unknown>>;
}

const health = named('Health', 'The process answers.', z.object({ status: z.literal('ok'), version: z.string() }));
const readyBody = named('Ready', 'Everything that requests need is there.', z.object({ status: z.literal('ready') }));
const kind = named(
  'ProblemKind',
  'What a problem code means.',
  z.object({ code: z.string(), status: z.int(), title: z.string(), suggestion: z.string() }),
);
const anyObject = z.record(z.string(), z.unknown());
const CACHED = { 'Cache-Control': 'public, max-age=300' };

export function opsRoutes({
  recorder,
  ready,
  life,
  version,
  metricsOpen,
  planSchema,
  document,
}: OpsRoutes): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/healthz',
      untraced: true,
      operationId: 'getHealth',
      summary: 'Is the process alive?',
      description: '200 as long as it answers at all, whatever it depends on.',
      can: null,
      responses: { 200: { description: 'Alive.', body: health } },
      problems: [],
      handle: async () => ({ status: 200, body: { status: 'ok' as const, version } }),
    }),
    route({
      method: 'get',
      path: '/readyz',
      untraced: true,
      operationId: 'getReadiness',
      summary: 'Can it serve requests?',
      can: null,
      responses: { 200: { description: 'Ready.', body: readyBody } },
      problems: ['not_ready'],
      async handle() {
        const missing = life.leaving
          ? [{ part: 'server', message: 'the server is stopping; send requests to another replica' }]
          : await ready();
        if (missing.length === 0) return { status: 200, body: { status: 'ready' as const } };
        const words = missing.map(({ part, message }) => `${part}: ${message}`).join('; ');
        return refuse('not_ready', words, {
          headers: { 'Retry-After': '5' },
          more: { missing: missing.map(({ part, message }) => ({ part, message })) },
        });
      },
    }),
    route({
      method: 'get',
      path: '/metrics',
      untraced: true,
      operationId: 'getMetrics',
      summary: 'Metrics in the Prometheus text format',
      description: metricsOpen ? 'Opened by configuration.' : 'Give the scraper a token of the role viewer.',
      can: metricsOpen ? null : 'read',
      responses: { 200: { description: 'The metrics.', body: z.string(), type: 'text/plain' } },
      problems: ['store_unavailable'],
      async handle() {
        const { contentType, body } = await recorder.expose();
        return { status: 200, headers: { 'Content-Type': contentType }, body };
      },
    }),
    route({
      method: 'get',
      path: '/openapi.json',
      operationId: 'getOpenApi',
      summary: 'This document',
      can: null,
      responses: { 200: { description: 'OpenAPI 3.1.', body: anyObject } },
      problems: [],
      handle: async () => ({ status: 200, headers: CACHED, body: document() }),
    }),
    route({
      method: 'get',
      path: '/schemas/plan.json',
      operationId: 'getPlanSchema',
      summary: 'JSON Schema of a plan',
      description: 'For editors: "# yaml-language-server: $schema=<this URL>".',
      can: null,
      responses: {
        200: { description: 'JSON Schema, draft 2020-12.', body: anyObject, type: 'application/schema+json' },
      },
      problems: [],
      handle: async () => ({ status: 200, headers: CACHED, body: { ...planSchema } }),
    }),
    route({
      method: 'get',
      path: '/problems/{code}',
      operationId: 'getProblem',
      summary: 'What a problem code means',
      description: 'The type of every problem document is such a path.',
      can: null,
      params: z.object({ code: parameterOf('A problem code.', { type: 'string', enum: PROBLEM_CODES }, z.string()) }),
      responses: { 200: { description: 'The code.', body: kind } },
      problems: ['not_found'],
      async handle({ params: { code } }) {
        const known = PROBLEM_CODES.find((c) => c === code);
        if (known === undefined)
          return refuse('not_found', `no problem has the code ${JSON.stringify(code.slice(0, 100))}`);
        const { status, title, suggestion } = PROBLEMS[known];
        return { status: 200, headers: CACHED, body: { code: known, status, title, suggestion } };
      },
    }),
  ];
}
