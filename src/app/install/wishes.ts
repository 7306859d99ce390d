/**
 * What an installation is to be like. Everything in here goes into shell commands that people paste: each value is
 * checked by a pattern that leaves nothing for a shell to interpret.
 */
import { z } from 'zod';

export const MESHES = ['istio', 'linkerd'] as const;
export const PROFILES = ['minimal', 'default', 'demo', 'production'] as const;
export const ADDONS = ['prometheus', 'kiali', 'jaeger', 'multicluster', 'smi', 'viz'] as const;
export type Addon = (typeof ADDONS)[number];

const ADDONS_OF: Readonly<Record<(typeof MESHES)[number], readonly Addon[]>> = {
  istio: ['prometheus', 'kiali', 'jaeger', 'multicluster'],
  linkerd: ['viz', 'jaeger', 'multicluster', 'smi'],
};

/** Requests and limits of each proxy, as Kubernetes quantities. */
export interface ProxyResources {
  readonly requests: { readonly cpu: string; readonly memory: string };
  readonly limits: { readonly cpu: string; readonly memory: string };
}

export interface Wishes {
  readonly mesh: (typeof MESHES)[number];
  readonly profile: (typeof PROFILES)[number];
  /** Whose pods get the proxy. */
  readonly namespace: string;
  readonly addons: readonly Addon[];
  /** null: as the mesh has them. */
  readonly resources: ProxyResources | null;
  /** Minor release of Istio that the addons are taken from. */
  readonly release: string;
  /** multicluster: kubeconfig contexts, which are the clusters' names too. */
  readonly clusters: readonly string[];
  readonly meshId: string;
  readonly network: string;
}

/** The production profile. */
export const PRODUCTION = {
  cpuRequest: '100m',
  memoryRequest: '128Mi',
  cpuLimit: '500m',
  memoryLimit: '256Mi',
} as const;
type ResourceName = keyof typeof PRODUCTION;
export const RESOURCE_NAMES = Object.keys(PRODUCTION) as ResourceName[];

const quote = (input: unknown): string => JSON.stringify(String(input).slice(0, 100));
const matching = (pattern: RegExp, wanted: string) =>
  z.string().regex(pattern, { error: ({ input }) => `wanted ${wanted}; found ${quote(input)}` });
const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: ({ input }) => `wanted one of ${values.join(', ')}; found ${quote(input)}` });

const LABEL = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const label = (wanted: string) => matching(new RegExp(`^${LABEL}$`), `${wanted} of small letters, digits and dashes`);
const cpu = matching(/^(?:[1-9]\d{0,5}m|(?:0|[1-9]\d{0,2})(?:\.\d{1,3})?)$/, 'CPU like 100m or 0.5');
const memory = matching(/^[1-9]\d{0,6}(?:Ki|Mi|Gi)$/, 'memory like 128Mi or 1Gi');

/** "a,b" */
const listed = <T extends z.ZodType<string, string>>(part: T) =>
  z
    .string()
    .max(400)
    .transform((text) => text.split(',').filter((one) => one !== ''))
    .pipe(z.array(part).max(6));

/** Query parameters, as they stand in the address. */
export const wishSchemas = {
  mesh: oneOf(MESHES).prefault('istio'),
  profile: oneOf(PROFILES).prefault('default'),
  namespace: label('the name of a namespace').prefault('production'),
  addons: listed(oneOf(ADDONS)).prefault(''),
  release: matching(/^1\.\d{1,2}$/, 'a minor release of Istio like 1.30').prefault('1.30'),
  clusters: listed(label('the name of a cluster')).prefault('cluster1,cluster2'),
  meshId: label('the id of a mesh').prefault('mesh1'),
  network: label('the name of a network').prefault('network1'),
  cpuRequest: cpu.optional(),
  memoryRequest: memory.optional(),
  cpuLimit: cpu.optional(),
  memoryLimit: memory.optional(),
} as const;

type Parsed = { readonly [K in keyof typeof wishSchemas]: z.output<(typeof wishSchemas)[K]> };
type Given = Omit<Parsed, ResourceName> & { readonly [K in ResourceName]?: string | undefined };

export interface WishFault {
  readonly parameter: string;
  readonly message: string;
}

/** Rules between the parameters. */
export function wishesOf(given: Given): { readonly wishes: Wishes } | { readonly faults: readonly WishFault[] } {
  const { mesh, profile, namespace, release, clusters, meshId, network } = given;
  const addons = [...new Set(given.addons)];
  const faults: WishFault[] = [];
  const fault = (parameter: string, message: string): void => void faults.push({ parameter, message });

  const foreign = addons.filter((addon) => !ADDONS_OF[mesh].includes(addon));
  if (foreign.length > 0)
    fault('addons', `${mesh} has no ${foreign.join(', ')}; wanted some of ${ADDONS_OF[mesh].join(', ')}`);
  if (addons.includes('multicluster') && new Set(clusters).size < 2)
    fault('clusters', `wanted at least two clusters for multicluster; found ${clusters.join(', ') || 'none'}`);
  const own = RESOURCE_NAMES.filter((name) => given[name] !== undefined);
  if (profile !== 'production')
    for (const name of own) fault(name, `${name} is for profile=production; found profile=${profile}`);

  const chosen = Object.fromEntries(RESOURCE_NAMES.map((name) => [name, given[name] ?? PRODUCTION[name]])) as Record<
    ResourceName,
    string
  >;
  if (millis(chosen.cpuRequest) > millis(chosen.cpuLimit))
    fault('cpuRequest', `wanted at most the limit, ${chosen.cpuLimit}; found ${chosen.cpuRequest}`);
  if (bytes(chosen.memoryRequest) > bytes(chosen.memoryLimit))
    fault('memoryRequest', `wanted at most the limit, ${chosen.memoryLimit}; found ${chosen.memoryRequest}`);
  if (faults.length > 0) return { faults };

  const resources: ProxyResources | null =
    profile === 'production'
      ? {
          requests: { cpu: chosen.cpuRequest, memory: chosen.memoryRequest },
          limits: { cpu: chosen.cpuLimit, memory: chosen.memoryLimit },
        }
      : null;
  return {
    wishes: { mesh, profile, namespace, addons, resources, release, clusters: [...new Set(clusters)], meshId, network },
  };
}

const millis = (quantity: string): number =>
  quantity.endsWith('m') ? Number(quantity.slice(0, -1)) : Number(quantity) * 1000;

const UNITS = { Ki: 1, Mi: 2, Gi: 3 } as const;
const bytes = (quantity: string): number =>
  Number(quantity.slice(0, -2)) * 1024 ** UNITS[quantity.slice(-2) as keyof typeof UNITS];
