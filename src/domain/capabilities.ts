/** What each mesh can carry, as data, and which steps of a plan need what. */

/** Kinds of steps beside weights; each needs the capability of its own name. */
export const STEP_KINDS = [
  'headerRoute',
  'mirror',
  'faultRehearsal',
  'ensureSubset',
  'scale',
  'sessionAffinity',
  'blueGreen',
] as const;
export type StepKind = (typeof STEP_KINDS)[number];

/** Capability -> what it is. */
export const CAPABILITIES = {
  weights: 'Shares of the traffic between two versions.',
  headerRoute: 'Requests with a header go to the canary, whatever its weight.',
  mirror: 'A copy of the requests goes to the canary; its answers go to nobody.',
  mirrorPercent: 'A copy of a part of the requests, not of all.',
  faultRehearsal: 'Delays and aborts for marked requests only.',
  ensureSubset: 'The canary is a subset of one host, made by a rollout and taken away again.',
  scale: "Replicas of the canary's Deployment.",
  sessionAffinity: 'A user who met one version stays with it.',
  blueGreen: 'All traffic from one version to the other in one write.',
  tcp: 'Shares of connections that are not HTTP.',
  routeChecks: 'Error rate and latency of one named route.',
  retries: 'The mesh repeats failed requests.',
  retryBudget: 'Retries are limited to a part of the traffic.',
  timeouts: 'The mesh ends requests that take too long.',
  circuitBreaker: 'Pods that fail get no more requests for a while.',
  mtls: 'Both sides of a connection prove who they are.',
  mtlsMigration: 'From plaintext beside mTLS to mTLS only, step by step.',
  authorization: 'Who may call what.',
  tracing: "The proxies report spans that tell the canary's from the stable version's.",
  multiCluster: 'One service in several clusters.',
} as const;
export type Capability = keyof typeof CAPABILITIES;
export const CAPABILITY_NAMES = Object.keys(CAPABILITIES) as Capability[];

export interface Support {
  readonly supported: 'yes' | 'no' | 'partly';
  /** Release from which on; null: as long as the API version is served. */
  readonly since: string | null;
  /** How, how far, or why not. */
  readonly why: string;
}

/** One way of moving traffic: a mesh's object, carried out by one proxy, as one API version has it. */
export interface MeshCapabilities {
  /** The value of `target.mesh`. */
  readonly mesh: string;
  /** Who carries it out: the value of `target.proxy`, where the mesh has that field. */
  readonly proxy: 'istio' | 'linkerd';
  readonly object: string;
  readonly apiVersion: string;
  /** Releases that serve this version. */
  readonly served: string;
  readonly capabilities: Readonly<Record<Capability, Support>>;
}

export const yes = (why: string, since: string | null = null): Support => ({ supported: 'yes', since, why });
export const partly = (why: string, since: string | null = null): Support => ({ supported: 'partly', since, why });
export const no = (why: string): Support => ({ supported: 'no', since: null, why });

/** One row of the usual comparison of the two meshes, and the capabilities that it is about. */
export interface ComparisonRow {
  readonly feature: string;
  readonly istio: string;
  readonly linkerd: string;
  /** What it means for a rollout. */
  readonly forRollouts: string;
  readonly capabilities: readonly Capability[];
}

export const MESH_COMPARISON: readonly ComparisonRow[] = [
  {
    feature: 'Sidecar',
    istio: 'Envoy',
    linkerd: 'linkerd2-proxy (Rust)',
    forRollouts: 'The two count requests under different names and in different buckets; Sluice reads both.',
    capabilities: [],
  },
  {
    feature: 'Resource usage',
    istio: 'Higher',
    linkerd: 'Lower',
    forRollouts: 'Every canary pod brings a proxy of its own: GET /install-plans sets its requests and limits.',
    capabilities: [],
  },
  {
    feature: 'Features',
    istio: 'More extensive',
    linkerd: 'Focused/simpler',
    forRollouts: 'Mirrors, faults and subsets are only with Istio, checks of one route only with ServiceProfiles.',
    capabilities: [
      'mirror',
      'mirrorPercent',
      'faultRehearsal',
      'ensureSubset',
      'tcp',
      'sessionAffinity',
      'routeChecks',
    ],
  },
  {
    feature: 'mTLS',
    istio: 'Built-in',
    linkerd: 'Built-in',
    forRollouts: 'Istio takes plaintext too until a PeerAuthentication says STRICT; Linkerd denies it by policy.',
    capabilities: ['mtls', 'mtlsMigration', 'authorization'],
  },
  {
    feature: 'Traffic management',
    istio: 'Advanced',
    linkerd: 'Basic (SMI)',
    forRollouts: 'Weights with both; header routes with Linkerd only by HTTPRoute.',
    capabilities: ['weights', 'headerRoute', 'blueGreen', 'retries', 'retryBudget', 'timeouts', 'circuitBreaker'],
  },
  {
    feature: 'Multi-cluster',
    istio: 'Native support',
    linkerd: 'Requires setup',
    forRollouts: 'Both keep the routes of each cluster apart: a rollout moves one cluster.',
    capabilities: ['multiCluster'],
  },
  {
    feature: 'Learning curve',
    istio: 'Steeper',
    linkerd: 'Gentler',
    forRollouts: 'The preflight says what is wrong with the objects of either, and what to do.',
    capabilities: [],
  },
];

/** A step that the mesh of the plan cannot carry. `code` is that of the answer 422. */
export interface UnsupportedStep {
  readonly code: 'unsupported_step';
  readonly step: StepKind;
  readonly capability: Capability;
  /** Why not, what supports it, and what to do. */
  readonly message: string;
  /** "istio", "gateway-api with proxy istio". */
  readonly supportedBy: readonly string[];
}

/** Asked for by the whole plan, not by one of its steps. */
const SETTINGS: ReadonlySet<StepKind> = new Set(['sessionAffinity']);

/** What a target says of who is to carry its steps out. */
export interface Carrier {
  readonly mesh: string;
  readonly proxy?: unknown;
  /** The version that the cluster serves, as "gateway.networking.k8s.io/v1". Absent: the cluster was not asked, and the newest counts. */
  readonly apiVersion?: string;
}

/** A step beside weights, or users who are kept, as far as it decides what the mesh has to have. */
export interface Asked {
  readonly kind: StepKind;
  /** Of a mirror. */
  readonly percent?: number;
}

/** What the mesh has to have for it, the most general first. */
const needsOf = ({ kind, percent = 100 }: Asked): readonly Capability[] =>
  kind === 'mirror' && percent < 100 ? [kind, 'mirrorPercent'] : [kind];

/** Rows of that carrier, the newest API version first. Empty: the mesh is unknown. */
const rowsOf = (matrix: readonly MeshCapabilities[], { mesh, proxy, apiVersion }: Carrier) =>
  matrix.filter(
    (row) =>
      row.mesh === mesh &&
      (proxy === undefined || row.proxy === proxy) &&
      (apiVersion === undefined || row.apiVersion === apiVersion),
  );

/**
 * null: the step can be carried out (also `partly`: the row's `why` says how far). Throws for a carrier that the matrix
 * does not have: the plan's schema knows the same meshes, so that is a bug.
 */
export function missingCapability(
  matrix: readonly MeshCapabilities[],
  carrier: Carrier,
  asked: Asked,
): UnsupportedStep | null {
  const step = asked.kind;
  const [what, it] = SETTINGS.has(step) ? [step, 'it'] : [`a ${step} step`, 'the step'];
  for (const capability of needsOf(asked)) {
    const lack = lackOf(matrix, carrier, capability);
    if (lack === null) continue;
    const message = `${what} ${lack.words}. Take ${it} out of the plan`;
    return { code: 'unsupported_step', step, capability, message, supportedBy: lack.supportedBy };
  }
  return null;
}

/** null: checks may be of one named route; otherwise why not, what supports that, and what to do. Throws as `missingCapability`. */
export function noRouteChecks(matrix: readonly MeshCapabilities[], carrier: Carrier): string | null {
  const lack = lackOf(matrix, carrier, 'routeChecks');
  return lack === null
    ? null
    : `a check of one route ${lack.words}. Leave route out, or ask a check of kind prometheus in its place`;
}

/** null: the carrier has it, if only partly. */
function lackOf(
  matrix: readonly MeshCapabilities[],
  carrier: Carrier,
  capability: Capability,
): { readonly words: string; readonly supportedBy: readonly string[] } | null {
  const [row] = rowsOf(matrix, carrier);
  if (row === undefined)
    throw new Error(`the capabilities know no mesh ${carrier.mesh} ${carrier.apiVersion ?? ''}: its file lacks a row`);
  const { supported, why } = row.capabilities[capability];
  if (supported !== 'no') return null;
  const supportedBy = supporters(matrix, capability);
  const elsewhere = supportedBy.length === 0 ? 'no mesh supports it' : `supported by ${supportedBy.join(' and by ')}`;
  const newer = versionsWith(matrix, carrier, capability);
  const [as, where] =
    newer.length === 0
      ? ['', elsewhere]
      : [
          ` as ${row.apiVersion}, the version that the cluster serves`,
          `it comes with ${newer.join(' or ')}: let the cluster serve it`,
        ];
  const words = `needs the capability "${capability}", which ${carrierWords(row, matrix)} does not have${as}: ${why}; ${where}`;
  return { words, supportedBy };
}

/** Versions of the same object, carried out by the same proxy, that have what the served one lacks. Empty: no cluster was asked, or none has it. */
const versionsWith = (
  matrix: readonly MeshCapabilities[],
  { mesh, proxy, apiVersion }: Carrier,
  capability: Capability,
): readonly string[] =>
  apiVersion === undefined
    ? []
    : rowsOf(matrix, { mesh, proxy })
        .filter((row) => groupOf(row.apiVersion) === groupOf(apiVersion))
        .filter((row) => row.capabilities[capability].supported !== 'no')
        .map((row) => row.apiVersion);

const groupOf = (apiVersion: string): string => apiVersion.split('/')[0] ?? '';

/** Kinds of mesh that have it by whichever proxy: where only the kind is named, less than that promises nothing. */
export const meshesWith = (matrix: readonly MeshCapabilities[], capability: Capability): readonly string[] =>
  [...new Set(matrix.map(({ mesh }) => mesh))].filter((mesh) =>
    rowsOf(matrix, { mesh }).every((row) => row.capabilities[capability].supported !== 'no'),
  );

function supporters(matrix: readonly MeshCapabilities[], capability: Capability): readonly string[] {
  const able = matrix.filter((row) => row.capabilities[capability].supported !== 'no');
  return [...new Set(able.map((row) => carrierWords(row, matrix)))];
}

/** The proxy is named only where the mesh can have another one. */
function carrierWords({ mesh, proxy }: MeshCapabilities, matrix: readonly MeshCapabilities[]): string {
  const several = new Set(matrix.filter((row) => row.mesh === mesh).map((row) => row.proxy)).size > 1;
  return several ? `${mesh} with proxy ${proxy}` : mesh;
}
