/** What the service is composed of: the settings as `config.ts` reads them, and what observes it. */
import type { GrafanaPages } from '../adapters/grafana/links.ts';
import type { Listing } from '../adapters/inspect/check.ts';
import type { Inspected } from '../adapters/inspect/inspect.ts';
import type { Policy } from '../adapters/inspect/policy.ts';
import type { JaegerOptions } from '../adapters/jaeger/client.ts';
import type { KialiOptions } from '../adapters/kiali/client.ts';
import type { KubeOptions } from '../adapters/kubernetes/client.ts';
import type { KubeClient } from '../adapters/kubernetes/kube.ts';
import type { RemoteSecret } from '../adapters/kubernetes/remote-secret.ts';
import type { View } from '../adapters/mesh.ts';
import type directModule from '../adapters/metrics/direct.ts';
import type prometheusModule from '../adapters/metrics/prometheus.ts';
import type { ChannelSettings } from '../adapters/notify/open-channels.ts';
import type { Allowed } from '../adapters/outbound/addresses.ts';
import type { postgresRolloutStore } from '../adapters/postgres/rollout-store.ts';
import type { QueueOptions } from '../adapters/queue.ts';
import type { CountView } from '../adapters/series/counting.ts';
import type { CrashPoint, Logger, MetricsProvider, Recorder, TickQueue } from '../app/ports.ts';
import type { Tracer } from '../app/tracer.ts';
import type { Trust } from '../app/trust/trust.ts';
import type { Millis, Severities, Target } from '../domain/plan.ts';
import type { Tracing } from '../telemetry/tracing.ts';

/** What every provider is opened with, beside its own settings. */
export interface MetricsPorts {
  readonly tracer: Tracer;
  readonly kube: KubeClient;
  viewsOf(target: Target, route?: string): readonly View[];
  countingOf(target: Target): readonly CountView[];
  readonly recorder: Recorder;
  readonly log: Logger;
}

export interface MetricsModule {
  readonly name: string;
  open(options: object & MetricsPorts): MetricsProvider;
}

type Own<Module extends { open(options: never): unknown }> = Omit<Parameters<Module['open']>[0], keyof MetricsPorts>;

export interface ClusterSettings {
  readonly name: string;
  readonly kube: Omit<KubeOptions, 'cluster' | 'log' | 'kubeconfigFrom'>;
  /** In place of a kubeconfig: the Secret in another one of the clusters that has it. */
  readonly remoteSecret?: RemoteSecret;
  /** null: the cluster has none. */
  readonly prometheus: Own<typeof prometheusModule> | null;
  /** Absent: as the provider has it. */
  readonly direct?: Own<typeof directModule>;
  /** Name of the provider that answers built-in checks that name none. Absent: prometheus, or direct where there is none. */
  readonly defaultProvider?: string;
  /** Namespaces of the control planes. Absent: where the meshes' installers put them. */
  readonly meshNamespaces?: Inspected['controlPlanes'];
  /** Its part in a mesh of several clusters. Absent: every cluster reads its own objects. */
  readonly topology?: Omit<Listing, 'peers'>;
  /** Absent: there is none. */
  readonly kiali?: KialiSettings;
  readonly jaeger?: JaegerOptions;
  readonly grafana?: GrafanaPages;
}

export interface KialiSettings extends KialiOptions {
  /** As browsers reach it. Default: url. */
  readonly publicUrl?: string;
  /** Are its validations findings of the preflight? */
  readonly validations: boolean;
}

export interface PreflightSettings extends Omit<Policy, 'writesHere'> {
  /** By the check's name. */
  readonly severity: Severities;
}

export interface SlackSettings {
  readonly token: string;
  readonly channel: string;
  readonly apiUrl?: string | undefined;
  /** Slack's requests come over a socket that the workers open. Absent: by HTTP, to the API. */
  readonly appToken?: string | undefined;
}

export interface Settings {
  readonly databaseUrl: string;
  readonly queue: QueueOptions['backend'];
  readonly clusters: readonly ClusterSettings[];
  readonly concurrency: number;
  readonly retention: Millis | null;
  readonly slack: SlackSettings | null;
  /** Where people reach the service; null: messages carry no links. */
  readonly publicUrl: string | null;
  /** Whose id tokens are accepted. Signing in wants publicUrl. Absent: nobody's. */
  readonly trust?: Trust & { readonly clientSecret: string | null };
  /** Hosts that fault rehearsals may ask beyond those of the target's namespace. Absent: none. */
  readonly probeHosts?: readonly string[];
  /** Channels that are told what nobody may miss. Absent: none. */
  readonly channels?: readonly ChannelSettings[];
  /** Absent: plans have no gates, and only public addresses are told. */
  readonly webhooks?: { readonly secrets: readonly string[]; readonly allowed: Allowed };
  /** Absent: nothing is demanded. */
  readonly preflight?: PreflightSettings;
  /** false: this process only looks, and workers with an account of their own write. Absent: true. */
  readonly writesHere?: boolean;
}

export interface Telemetry {
  readonly log: Logger;
  readonly recorder: (
    sources: Pick<TickQueue, 'depth'> & { gauges: ReturnType<typeof postgresRolloutStore>['gauges'] },
  ) => Recorder;
  /** Absent: nothing is traced. */
  readonly tracing?: (ports: { readonly recorder: Pick<Recorder, 'spans'>; readonly log: Logger }) => Tracing;
  /** Tests only: named places at which a process may be made to die. */
  readonly crashPoint?: CrashPoint;
  /** The same within the ticks of migrations. */
  readonly migrationCrashPoint?: CrashPoint;
}
