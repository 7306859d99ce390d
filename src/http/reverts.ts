/** Taking back what was promoted. */
import { z } from 'zod';
import type { RevertResult } from '../app/revert.ts';
import type { UseCases } from '../app/usecases.ts';
import { reason } from './commands.ts';
import * as params from './params.ts';
import { refuse } from './problem.ts';
import { etagOf } from './resource.ts';
import { accepted, briefly, inProgress, noRollout } from './rollouts.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';
import { described, named, rolloutSchema } from './schemas.ts';

export interface RevertRoutes {
  readonly usecases: Pick<UseCases, 'revert' | 'outside'>;
  readonly publicUrl: string | undefined;
}

const REFUSALS = [
  'rollout_not_found',
  'rollout_in_progress',
  'not_promoted',
  'rollback_window_passed',
  'promoted_since',
  'nothing_to_revert',
  'route_unusable',
  'stable_unavailable',
  'stable_short',
  'cluster_unreachable',
] as const;

const body = named(
  'RollbackBody',
  'May be left out.',
  z.strictObject({
    reason,
    force: described(
      'Although the stable version has fewer pods ready than the canary serves with, or the cluster does not answer now.',
      z.boolean().optional(),
    ),
  }),
);

export const revertRoutes = ({ usecases, publicUrl }: RevertRoutes): readonly Route[] => [
  route({
    method: 'post',
    path: '/rollouts/{id}/rollback',
    operationId: 'rollbackRollout',
    summary: 'Take back a rollout that was promoted',
    description:
      "Within the plan's rollbackWindow and while the old version still runs, all traffic goes back to it in one write. What has ended stays as it is: the answer is a new rollout, which says in reverts what it takes back and ends as rolled_back. May be repeated. Draws on the rate limit of aborts.",
    can: 'abort',
    audit: 'rollout.rollback',
    reserved: true,
    params: params.rolloutId,
    body: { schema: body, required: false, example: { reason: 'orders are lost' } },
    responses: {
      202: {
        description: 'The rollout that takes it back.',
        body: rolloutSchema,
        headers: {
          Location: 'That rollout.',
          ETag: 'Its version.',
          'Retry-After': 'Seconds until a look is worth the while.',
        },
      },
    },
    problems: REFUSALS,
    async handle({ params: { id }, body: { reason: why = '', force = false }, principal }) {
      if (!params.isRolloutId(id)) return noRollout(id);
      return answered(await usecases.revert(id, { reason: why, force }, principal), id, publicUrl, usecases.outside);
    },
  }),
];

function answered(result: RevertResult, id: string, publicUrl: string | undefined, outside: UseCases['outside']) {
  switch (result.kind) {
    case 'reverting':
      return accepted(result.rollout, publicUrl, outside);
    case 'conflict':
      return inProgress(result.live, publicUrl);
    case 'refused': {
      const { refusal, rollout } = result;
      return refuse(refusal.code, refusal.message, {
        headers: { ETag: etagOf(rollout), ...(refusal.code === 'cluster_unreachable' ? { 'Retry-After': '5' } : {}) },
        more: { rollout: briefly(rollout, publicUrl) },
      });
    }
    case 'not_found':
      return noRollout(id);
    default:
      return result satisfies never;
  }
}
