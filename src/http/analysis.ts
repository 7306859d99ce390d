/** What can be asked of a plan before it is started. */
import { z } from 'zod';
import type { UseCases } from '../app/usecases.ts';
import { presentBackTest } from './analysis-resource.ts';
import { backTestSchema } from './analysis-schemas.ts';
import * as params from './params.ts';
import { refuse } from './problem.ts';
import { EXAMPLE, invalidPlan } from './rollouts.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';

/** Seconds: about as long as one takes. */
const TRY_AGAIN = '10';

export const analysisRoutes = ({ usecases }: { readonly usecases: UseCases }): readonly Route[] => [
  route({
    method: 'post',
    path: '/analysis/backtest',
    operationId: 'backTestPlan',
    summary: "Try a plan on the stable version's own past",
    description:
      "The stable version's pods, over the last hours, are put through the plan as if they were canaries: how often would it have rolled back a healthy service, and what is the smallest regression that it would catch? The body is a plan, or { plan, past }. Nothing is written and no traffic moves; it takes some seconds. The same past gives the same answer.",
    can: 'read',
    query: z.strictObject({ past: params.past }),
    body: { schema: z.unknown(), required: true, component: 'Plan', example: EXAMPLE },
    responses: { 200: { description: 'The back-test.', body: backTestSchema } },
    problems: ['invalid_plan', 'unsupported_step', 'no_history', 'backtest_busy', 'metrics_unavailable'],
    async handle({ query, body, principal, locate }) {
      const result = await usecases.backTest(body, query.past ?? null, principal);
      switch (result.kind) {
        case 'ok':
          return { status: 200, body: presentBackTest(result.report) };
        case 'invalid':
          return invalidPlan(result.problems, locate);
        case 'no_history':
          return refuse('no_history', result.message);
        case 'unavailable':
          return refuse('metrics_unavailable', result.message, { headers: { 'Retry-After': TRY_AGAIN } });
        case 'busy':
          return refuse('backtest_busy', 'other back-tests are being made, and as many as may wait are waiting', {
            headers: { 'Retry-After': TRY_AGAIN },
          });
        default:
          return result satisfies never;
      }
    },
  }),
];
