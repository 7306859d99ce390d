/** What one file in `guards/` provides: one named guard. A new guard is one such file; nothing else changes. */
import type { GuardSpec } from '../app/plan-schema.ts';
import type { GuardFinding, GuardQuestion, MetricsProvider } from '../app/ports.ts';
import type { NoValueCode, Reading, ShareReading } from '../domain/observation.ts';
import type { Millis, Role, Target } from '../domain/plan.ts';
import type { Kube, KubeObject } from './kubernetes/kube.ts';
import type { View } from './mesh.ts';
import type { Answer, Trouble } from './prometheus/answer.ts';
import type { Figures } from './prometheus/figures.ts';

/** What one view counted of both versions, from one evaluation. undefined: the view knows nothing of that version. */
export interface BothFigures {
  readonly ok: true;
  readonly canary: Figures | undefined;
  readonly stable: Figures | undefined;
}

/** Rows by pod, which many rollouts ask for at once: the text is made for all of their pods. */
export interface PodQuery {
  /** Of equal text for equal questions. */
  readonly name: string;
  text(namespaces: readonly string[], pods: readonly string[]): string;
}

/** What a metrics provider offers guards beside its port. Questions of many rollouts leave together, as those of checks do. */
export interface GuardSource {
  /** null: the view cannot tell the two versions apart. */
  figures(view: View, target: Target, window: Millis): Promise<BothFigures | Trouble | null>;
  /** Where the service's requests went; null: no view tells. */
  whereTo(target: Target, window: Millis): Promise<ShareReading | Trouble | null>;
  /** Rows `{namespace, pod, ...}` of these pods. */
  ofPods(query: PodQuery, namespace: string, pods: readonly string[]): Promise<Answer>;
  /** Any query, for what is asked once. */
  rows(promql: string): Promise<Answer>;
  /** The view with the metrics' names as this Prometheus has them. */
  spelled(view: View): View;
}

export const isGuardSource = (provider: MetricsProvider | undefined): provider is MetricsProvider & GuardSource =>
  provider !== undefined && ['figures', 'whereTo', 'ofPods', 'rows', 'spelled'].every((part) => part in provider);

/** What a guard may ask at one look. */
export interface Around extends Omit<GuardQuestion, 'guard'> {
  readonly limit: number;
  readonly proxy: 'istio' | 'linkerd';
  /** How the mesh's proxies count. */
  readonly views: readonly View[];
  /** Where the requests of that time went; null: nothing can tell. */
  share(window: Millis): ReturnType<GuardSource['whereTo']>;
  figures(view: View, window: Millis): ReturnType<GuardSource['figures']>;
  ofPods: GuardSource['ofPods'];
  rows: GuardSource['rows'];
  spelled: GuardSource['spelled'];
  /** Pods of a version, as the API server has them. */
  pods(role: Role): Promise<Kube<readonly KubeObject[]>>;
  /** What does not change while the rollout goes on, asked once by each process; null is not kept. */
  once<T>(what: string, ask: () => Promise<T | null>): Promise<T | null>;
}

export interface GuardModule {
  /** The file's name. */
  readonly name: string;
  /** One sentence for the schema and the documentation: what it sees. */
  readonly about: string;
  /** Meshes whose proxies (or pods) can answer it. */
  readonly proxies: readonly ('istio' | 'linkerd')[];
  /** false: it asks the Kubernetes API alone. */
  readonly metrics: boolean;
  /** true: no weight goes up before it has looked, nor while it sees that it cannot tell. */
  readonly strict: boolean;
  readonly defaults: Pick<GuardSpec, 'unit' | 'then' | 'limit' | 'window' | 'failureLimit'>;
  /** Least time between two looks at one rollout, in each process: for what changes slowly. 0: at every evaluation. */
  readonly every: Millis;
  look(around: Around): Promise<GuardFinding>;
}

export const defineGuard = (guard: GuardModule): GuardModule => guard;

// ── findings ────────────────────────────────────────────────────────────────────────────────────────────────────────

export const value = (query: string, found: number, samples: number | null = null): Reading => ({
  ok: true,
  value: found,
  samples,
  query,
});

type Parts = Pick<GuardFinding, 'canary'> & Partial<Pick<GuardFinding, 'stable' | 'threshold'>>;

const finding = (verdict: GuardFinding['verdict'], code: string, reason: string, parts: Parts): GuardFinding => ({
  verdict,
  code,
  reason,
  stable: null,
  threshold: null,
  ...parts,
});

export const passed = (reason: string, parts: Parts): GuardFinding => finding('pass', 'within', reason, parts);
export const failed = (code: string, reason: string, parts: Parts): GuardFinding =>
  finding('fail', code, reason, parts);
/** It sees that it cannot tell: no weight goes up, if it is strict. */
export const unclear = (code: string, reason: string, parts: Parts): GuardFinding =>
  finding('inconclusive', code, reason, parts);

/** It could not be asked. As of a check: waited for, if it is strict. */
export const unasked = ({ code, message }: Trouble, query = ''): GuardFinding => {
  if (code === 'no_data') return unknown(code, message, query);
  const verdict = code === 'partial' ? 'inconclusive' : 'error';
  return finding(verdict, code, message, { canary: { ok: false, code, message, query } });
};

/** Nothing here can tell. Recorded, and nothing waits for it. */
export const unknown = (code: NoValueCode | 'too_few_samples', reason: string, query = ''): GuardFinding =>
  finding('unknown', code, `cannot be judged: ${reason}`, {
    canary: { ok: false, code: code === 'too_few_samples' ? 'no_data' : code, message: reason, query },
  });
