/** What is known of the clusters themselves. */
import { z } from 'zod';
import type { MeshReport } from '../app/ports.ts';
import type { UseCases } from '../app/usecases.ts';
import * as params from './params.ts';
import { refuse } from './problem.ts';
import { presentFinding } from './resource.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';
import { meshSchema, metricsProvidersSchema } from './schemas.ts';

export const clusterRoutes = ({ usecases }: { readonly usecases: UseCases }): readonly Route[] => [
  route({
    method: 'get',
    path: '/clusters/{id}/mesh',
    operationId: 'getMesh',
    summary: 'Is the mesh installed, and is it well?',
    description:
      "The checks that a rollout would be put through, as far as they need no target: the mesh's installation, version and profile and, with ?namespace=, how pods of that namespace get their proxies. Only reads.",
    can: 'read',
    params: z.object({ id: params.cluster }),
    query: z.strictObject({ mesh: params.mesh, proxy: params.proxy, namespace: params.inNamespace }),
    responses: { 200: { description: 'The mesh as it stands.', body: meshSchema } },
    problems: ['cluster_not_found', 'invalid_parameter'],
    async handle({ params: { id }, query: { mesh, proxy, namespace } }) {
      const result = await usecases.mesh({
        cluster: id,
        mesh,
        proxy: proxy ?? null,
        namespace: namespace ?? null,
      });
      switch (result.kind) {
        case 'ok':
          return { status: 200, body: presentMesh(result.report) };
        case 'unknown_cluster':
          return refuse('cluster_not_found', result.message);
        case 'unknown_mesh':
          return refuse('invalid_parameter', result.message, {
            errors: [{ parameter: 'mesh', code: 'invalid_value', detail: result.message }],
          });
        default:
          return result satisfies never;
      }
    },
  }),
  route({
    method: 'get',
    path: '/metrics-providers',
    operationId: 'getMetricsProviders',
    summary: 'Do the metrics providers answer?',
    description:
      'Each provider of each cluster, asked now. One that is away keeps nobody from being ready (/readyz): no step passes without it, and rollbacks go on.',
    can: 'read',
    responses: { 200: { description: 'The providers.', body: metricsProvidersSchema } },
    problems: [],
    async handle() {
      const items = await usecases.metricsProviders();
      return { status: 200, body: { items: items.map((item) => ({ ...item, answers: item.wrong === null })) } };
    },
  }),
];

const presentMesh = ({ findings, ...report }: MeshReport) => ({ ...report, findings: findings.map(presentFinding) });
