/** What a benchmark's cluster holds: one service after the other, each with its VirtualService and two Deployments. */
import type { EvidenceSetup } from '../src/domain/evidence/ledger.ts';
import { pacesFor, settingsOf } from '../src/domain/evidence/setup.ts';
import type { EvidencePlan, Plan } from '../src/domain/plan.ts';
import type { JsonObject } from '../src/sandbox/kube-api/index.ts';

export const NAMESPACE = 'bench';
export const WEIGHT = 5;

export const serviceName = (n: number): string => `service-${String(n).padStart(5, '0')}`;
export const canaryOf = (service: string): string => `${service}-v2`;

const SECOND = 1_000;
const HOUR = 3_600_000;

export interface PlanOptions {
  readonly interval: number;
  readonly failureLimit: number;
  /** Are the versions compared too, request by request? */
  readonly evidence?: boolean;
}

/** As a plan without settings of its own is compared. */
const EVIDENCE: EvidencePlan = {
  provider: 'prometheus',
  mode: 'robust',
  alpha: 0.01,
  beta: 0.05,
  block: null,
  warmUp: null,
  errors: { margin: 1.2, tolerance: 0.0005 },
  latency: { margin: 1.2, tolerance: 0.001, bounds: [50, 100, 250] },
  safety: { frequency: 0.01, ratio: 3 },
  bake: 0,
  unproven: { after: 24 * 3_600_000, then: 'pause' },
};

/** How such a rollout was prepared; null: its plan wants no comparison. */
export function setupOf({ analysis }: Plan): EvidenceSetup | null {
  const { evidence } = analysis;
  const [pace] = evidence === null ? [] : pacesFor(evidence, 15_000);
  if (evidence === null || pace === undefined) return null;
  const settings = settingsOf(evidence, pace, evidence.latency?.bounds ?? []);
  return { provider: 'prometheus', view: 'source', pace, settings, words: 'benchmark', calibration: null };
}

/** Two checks, a hold that does not end while the benchmark runs. */
export const planFor = (service: string, { interval, failureLimit, evidence = false }: PlanOptions): Plan => ({
  target: {
    cluster: 'default',
    namespace: NAMESPACE,
    service,
    mesh: 'istio',
    virtualService: { name: service },
    stable: { host: service, subset: 'v1', deployment: `${service}-v1` },
    canary: { host: service, subset: 'v2', deployment: canaryOf(service) },
  },
  steps: [
    { weight: WEIGHT, hold: 24 * HOUR, approval: 'none' },
    { weight: 50, hold: 24 * HOUR, approval: 'none' },
  ],
  analysis: {
    interval,
    settle: 0,
    noData: { patience: 5 * 60 * SECOND, then: 'pause' },
    trafficShare: 'auto',
    evidence: evidence ? EVIDENCE : null,
    checks: [
      { ...common(failureLimit), name: 'errors', kind: 'error-rate', threshold: { max: 0.01 } },
      { ...common(failureLimit), name: 'latency', kind: 'latency', quantile: 0.99, threshold: { max: 500 } },
    ],
  },
  drift: { then: 'pause', maxReasserts: 3 },
  readyDeadline: 10 * 60 * SECOND,
  meshPatience: 5 * 60 * SECOND,
  deadline: null,
  onConflict: 'reject',
  labels: { version: '2.4.1' },
});

const common = (failureLimit: number) => ({
  provider: 'prometheus',
  window: 60 * SECOND,
  minSamples: 20,
  failureLimit,
});

/** The plan as a pipeline sends it. */
export const documentFor = (service: string): object => ({
  target: planFor(service, { interval: 10 * SECOND, failureLimit: 2 }).target,
  steps: [
    { weight: WEIGHT, hold: '24h' },
    { weight: 50, hold: '24h' },
  ],
  analysis: {
    interval: '10s',
    evidence: { mode: 'off' },
    checks: [
      { name: 'errors', kind: 'error-rate', max: '1%' },
      { name: 'latency', kind: 'latency', quantile: 0.99, max: '500ms' },
    ],
  },
});

const deployment = (service: string, version: string): JsonObject => {
  const labels = { app: service, version };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `${service}-${version}`, namespace: NAMESPACE, labels, generation: 1 },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'app',
              image: `registry.example.com/${service}:${version}`,
              ports: [{ containerPort: 8080 }],
              readinessProbe: { httpGet: { path: '/healthz', port: 8080 } },
              resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
            },
          ],
        },
      },
    },
    status: { observedGeneration: 1, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 },
  };
};

/** `decision`: the annotation of the rollout that holds it; null: nobody has shifted anything yet. */
export function objectsOf(service: string, decision: string | null): readonly JsonObject[] {
  const canary = decision === null ? 0 : WEIGHT;
  const subset = (name: string, weight: number) => ({ destination: { host: service, subset: name }, weight });
  return [
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: service, namespace: NAMESPACE },
      spec: { host: service, subsets: ['v1', 'v2'].map((version) => ({ name: version, labels: { version } })) },
    },
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: {
        name: service,
        namespace: NAMESPACE,
        ...(decision === null ? {} : { annotations: { 'sluice.dev/decision': decision } }),
      },
      spec: { hosts: [service], http: [{ route: [subset('v1', 100 - canary), subset('v2', canary)] }] },
    },
    deployment(service, 'v1'),
    deployment(service, 'v2'),
  ];
}
