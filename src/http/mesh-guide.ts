/** What is known of the meshes themselves: what each can carry, and how each is installed. Open: it tells nothing of this installation. */
import { z } from 'zod';
import { installPlan } from '../app/install/install-plan.ts';
import type { Wishes } from '../app/install/wishes.ts';
import { ADDONS, MESHES, PRODUCTION, PROFILES, wishesOf, wishSchemas } from '../app/install/wishes.ts';
import type { MeshCapabilities } from '../domain/capabilities.ts';
import { CAPABILITIES, CAPABILITY_NAMES, MESH_COMPARISON } from '../domain/capabilities.ts';
import { parameterOf } from './params.ts';
import { refuse } from './problem.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';
import { described, named } from './schemas.ts';
import { told } from './validate.ts';

const support = named(
  'MeshSupport',
  'Whether a mesh can do something.',
  z.object({
    supported: z.enum(['yes', 'no', 'partly']),
    since: described('Release from which on; null: as long as the API version is served.', z.string().nullable()),
    why: described('How, how far, or why not.', z.string()),
  }),
);

const capabilitiesSchema = named(
  'MeshCapabilities',
  'What each mesh can carry, by object and API version; and the usual comparison of Istio and Linkerd.',
  z.object({
    capabilities: described('Capability -> what it is.', z.record(z.string(), z.string())),
    meshes: z.array(
      z.object({
        mesh: described('The value of target.mesh.', z.string()),
        proxy: z.enum(['istio', 'linkerd']),
        object: z.string(),
        apiVersion: z.string(),
        served: described('Releases that serve this version.', z.string()),
        capabilities: z.record(z.string(), support),
      }),
    ),
    comparison: z.array(
      z.object({
        feature: z.string(),
        istio: z.string(),
        linkerd: z.string(),
        forRollouts: z.string(),
        capabilities: described('Those that the row is about.', z.array(z.enum(CAPABILITY_NAMES))),
      }),
    ),
  }),
);

const installPlanSchema = named(
  'InstallPlan',
  'How a mesh is installed, as data and as a script. Sluice runs none of it.',
  z.object({
    mesh: z.enum(MESHES),
    profile: z.enum(PROFILES),
    namespace: z.string(),
    addons: z.array(z.enum(ADDONS)),
    resources: described(
      'Requests and limits of each proxy; null: as the mesh has them.',
      z
        .object({
          requests: z.object({ cpu: z.string(), memory: z.string() }),
          limits: z.object({ cpu: z.string(), memory: z.string() }),
        })
        .nullable(),
    ),
    steps: z.array(
      z.object({
        title: z.string(),
        commands: described('Lines for a shell, in order.', z.array(z.string())),
        verifies: described('Commands that write nothing and show whether the step worked.', z.array(z.string())),
        note: described('Traps, what is gone and what takes its place; null: nothing.', z.string().nullable()),
      }),
    ),
    text: described('The same as a shell script.', z.string()),
  }),
);

const enumOf = (values: readonly string[], fallback: string) => ({ type: 'string', enum: values, default: fallback });
const textOf = (fallback: string) => ({ type: 'string', default: fallback });
const quantity = (name: keyof typeof PRODUCTION, what: string) =>
  parameterOf(`${what} of each proxy, with profile=production.`, textOf(PRODUCTION[name]), wishSchemas[name]);

const query = z.strictObject({
  mesh: parameterOf('The mesh.', enumOf(MESHES, 'istio'), wishSchemas.mesh),
  profile: parameterOf('How much of it.', enumOf(PROFILES, 'default'), wishSchemas.profile),
  namespace: parameterOf('Whose pods get the proxy.', textOf('production'), wishSchemas.namespace),
  addons: parameterOf(
    `Further parts, separated by commas: ${ADDONS.join(', ')}.`,
    { type: 'string', examples: ['kiali,jaeger'] },
    wishSchemas.addons,
  ),
  release: parameterOf('Minor release of Istio that its addons are taken from.', textOf('1.30'), wishSchemas.release),
  clusters: parameterOf(
    'multicluster: kubeconfig contexts, separated by commas.',
    textOf('cluster1,cluster2'),
    wishSchemas.clusters,
  ),
  meshId: parameterOf('multicluster: the mesh of all clusters.', textOf('mesh1'), wishSchemas.meshId),
  network: parameterOf('multicluster: the network of all clusters.', textOf('network1'), wishSchemas.network),
  cpuRequest: quantity('cpuRequest', 'Requested CPU'),
  memoryRequest: quantity('memoryRequest', 'Requested memory'),
  cpuLimit: quantity('cpuLimit', 'CPU limit'),
  memoryLimit: quantity('memoryLimit', 'Memory limit'),
});

const presentPlan = (wishes: Wishes): z.input<typeof installPlanSchema> => {
  const { steps, text } = installPlan(wishes);
  const { mesh, profile, namespace, addons, resources } = wishes;
  return {
    mesh,
    profile,
    namespace,
    addons: [...addons],
    resources,
    steps: steps.map((s) => ({ ...s, commands: [...s.commands], verifies: [...s.verifies] })),
    text,
  };
};

export const meshGuideRoutes = ({ matrix }: { readonly matrix: readonly MeshCapabilities[] }): readonly Route[] => [
  route({
    method: 'get',
    path: '/meshes/capabilities',
    operationId: 'getMeshCapabilities',
    summary: 'What each mesh can carry, by API version',
    can: null,
    query: z.strictObject({}),
    responses: { 200: { description: 'The matrix.', body: capabilitiesSchema } },
    problems: [],
    async handle() {
      const body = {
        capabilities: { ...CAPABILITIES },
        meshes: matrix.map((row) => ({ ...row, capabilities: { ...row.capabilities } })),
        comparison: MESH_COMPARISON.map((row) => ({ ...row, capabilities: [...row.capabilities] })),
      };
      return { status: 200, body };
    },
  }),

  route({
    method: 'get',
    path: '/install-plans',
    operationId: 'getInstallPlan',
    summary: 'The commands that install a mesh, and how to verify them',
    description: 'Nothing is run. Every value that goes into a command is checked first.',
    can: null,
    query,
    responses: { 200: { description: 'The plan.', body: installPlanSchema } },
    problems: ['invalid_parameter'],
    async handle({ query: given }) {
      const asked = wishesOf(given);
      if ('wishes' in asked) return { status: 200, body: presentPlan(asked.wishes) };
      const errors = asked.faults.map(({ parameter, message }) => ({
        parameter,
        code: 'invalid_value',
        detail: message,
      }));
      return refuse('invalid_parameter', told(errors), { errors });
    },
  }),
];
