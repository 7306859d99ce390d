/** The composition root: settings -> adapters -> use cases -> an API, a worker, or both. The only file that knows everybody. */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import {
  type Cluster,
  type Clusters,
  leftoverGateway,
  meshGateway,
  metricsGateway,
  servedVersion,
} from './adapters/clusters.ts';
import { faultWitness } from './adapters/fault-witness.ts';
import { gateKeeper } from './adapters/gates.ts';
import { type GrafanaPages, grafanaLinks } from './adapters/grafana/links.ts';
import { openGuards } from './adapters/guard-post.ts';
import type { Listing } from './adapters/inspect/check.ts';
import { type Inspected, loadChecks, openInspector } from './adapters/inspect/inspect.ts';
import type { Policy } from './adapters/inspect/policy.ts';
import { openQuery } from './adapters/inspect/query.ts';
import { type JaegerOptions, jaegerSource } from './adapters/jaeger/client.ts';
import { jaegerLinks } from './adapters/jaeger/links.ts';
import { type KialiOptions, kialiValidator } from './adapters/kiali/client.ts';
import { kialiHealth } from './adapters/kiali/health.ts';
import { kialiLinks } from './adapters/kiali/links.ts';
import { isShown } from './adapters/kiali/object.ts';
import { type KubeOptions, type OpenedKube, openKube } from './adapters/kubernetes/client.ts';
import type { KubeClient } from './adapters/kubernetes/kube.ts';
import { kubeconfigIn, type RemoteSecret } from './adapters/kubernetes/remote-secret.ts';
import { readWorkload } from './adapters/kubernetes/workloads.ts';
import type { MeshModule, View } from './adapters/mesh.ts';
import type directModule from './adapters/metrics/direct.ts';
import type prometheusModule from './adapters/metrics/prometheus.ts';
import { afterNotifier, channelNotifier } from './adapters/notify/alerts.ts';
import { type ChannelSettings, type OpenChannel, openChannels } from './adapters/notify/open-channels.ts';
import { slackNotifier } from './adapters/notify/slack.ts';
import { slackApi } from './adapters/notify/slack-api.ts';
import { fleetNews, migrationNews, type NewsSubject, tellNews } from './adapters/notify/slack-news.ts';
import { slackResponder } from './adapters/notify/slack-respond.ts';
import { openFederation } from './adapters/oidc/federation.ts';
import { openIssuer } from './adapters/oidc/issuer.ts';
import { openSignOn } from './adapters/oidc/sign-on.ts';
import type { Allowed } from './adapters/outbound/addresses.ts';
import { type Outbound, openOutbound } from './adapters/outbound/post.ts';
import { type MigratedCluster, policyGateway } from './adapters/policies/gateway.ts';
import { ownsAudit, postgresAudit } from './adapters/postgres/audit.ts';
import { type Database, openDatabase } from './adapters/postgres/db.ts';
import {
  giveUpLost,
  postgresAfterOutbox,
  postgresAlertOutbox,
  postgresDeliveryLog,
} from './adapters/postgres/deliveries.ts';
import { postgresFleetStore } from './adapters/postgres/fleet-store.ts';
import { postgresInboundCommands } from './adapters/postgres/inbound-commands.ts';
import { postgresLoginCodes } from './adapters/postgres/login-codes.ts';
import { postgresHealthStore } from './adapters/postgres/mesh-health.ts';
import { postgresMigrationStore } from './adapters/postgres/migration-store.ts';
import { postgresNewsOutbox, postgresOutbox } from './adapters/postgres/outbox.ts';
import { postgresRolloutStore } from './adapters/postgres/rollout-store.ts';
import { postgresSlackMessages as slackMessages } from './adapters/postgres/slack-messages.ts';
import { postgresSlackPrincipals } from './adapters/postgres/slack-principals.ts';
import { postgresStepStarts } from './adapters/postgres/step-starts.ts';
import { postgresTokenStore } from './adapters/postgres/tokens.ts';
import { postgresTraceStore } from './adapters/postgres/traces.ts';
import { openPreparations } from './adapters/preparation-post.ts';
import { prober } from './adapters/prober.ts';
import { inspectCheck } from './adapters/prometheus/inspect.ts';
import { openQueue, type QueueOptions } from './adapters/queue.ts';
import {
  capabilityMatrix,
  guardSpecs,
  loadChannels,
  loadGuards,
  loadMeshes,
  loadPreparations,
  loadProviders,
  meshFor,
} from './adapters/registry.ts';
import type { CountView } from './adapters/series/counting.ts';
import type { AuditLog } from './app/audit/log.ts';
import { backTest } from './app/backtest.ts';
import { command, retry } from './app/commands.ts';
import { deliveryLoop, handOver, startAlerts, startDelivery } from './app/deliver.ts';
import { type About, AFTER, type SubjectKind } from './app/deliveries.ts';
import { parseFleet } from './app/fleet/document.ts';
import { commandFleet, fleetStep } from './app/fleet/look.ts';
import type { FleetStore, FleetUseCases } from './app/fleet/ports.ts';
import { dryRunFleet, startFleet } from './app/fleet/start.ts';
import { inboundStep } from './app/inbound.ts';
import { LEFTOVERS, startLeftovers } from './app/leftovers.ts';
import { meshStatus } from './app/mesh.ts';
import { refusalsOf } from './app/mesh-findings.ts';
import { type HealthPorts, MESH_HEALTH, startHealth } from './app/mesh-health.ts';
import { migrationLoops } from './app/migration/loop.ts';
import type { MigrationStore } from './app/migration/ports.ts';
import { type MigrationPorts, tickMigration } from './app/migration/tick.ts';
import { type MigrationUseCases, migrationUseCases } from './app/migration/usecases.ts';
import { type Listeners, NEWS_CHANNELS, type NewsKind } from './app/news.ts';
import { parse } from './app/parse.ts';
import { planParser } from './app/plan-schema.ts';
import {
  type CrashPoint,
  type DeliveryLog,
  type InboundCommands,
  type Logger,
  type MeshValidator,
  type MetricsProvider,
  type Notifier,
  type Prober,
  type Recorder,
  type TickQueue,
  type TokenStore,
  UnknownName,
} from './app/ports.ts';
import type { Remotes } from './app/remote-cluster.ts';
import { type Repeating, repeat } from './app/repeat.ts';
import { revert } from './app/revert.ts';
import type { Intake } from './app/slack-intake.ts';
import { dryRun, type StartPorts, start } from './app/start.ts';
import { withStepSpans } from './app/step-spans.ts';
import { fleetSubject, migrationSubject, rolloutSubject, type Subjects } from './app/subject.ts';
import { tick } from './app/tick.ts';
import { type Tracer, UNTRACED } from './app/tracer.ts';
import { lookNow, startTraces, TRACES, type TracePorts } from './app/traces.ts';
import { type People, principalOfPerson } from './app/trust/login.ts';
import { CALLBACK_PATH, type Federation, type LoginCodes, type SignOn } from './app/trust/ports.ts';
import { type Places, scopedFleets, scopedMigrations, scopedUseCases } from './app/trust/scope.ts';
import type { Trust } from './app/trust/trust.ts';
import type { OutsideLinks, UseCases } from './app/usecases.ts';
import { startWorker, type Worker } from './app/worker.ts';
import { meshesWith, missingCapability } from './domain/capabilities.ts';
import { childDocument } from './domain/fleet/fleet.ts';
import { NOTHING_JOINED } from './domain/person.ts';
import type { Millis, Plan, Severities, Target } from './domain/plan.ts';
import type { Preparation } from './domain/preparation.ts';
import { PREPARATIONS } from './domain/preparation.ts';
import type { Rollout } from './domain/rollout.ts';
import type { Temporary } from './domain/temporary.ts';
import type { Tracing } from './telemetry/tracing.ts';

/** What every provider is opened with, beside its own settings. */
interface MetricsPorts {
  readonly tracer: Tracer;
  readonly kube: KubeClient;
  viewsOf(target: Target, route?: string): readonly View[];
  countingOf(target: Target): readonly CountView[];
  readonly recorder: Recorder;
  readonly log: Logger;
}

interface MetricsModule {
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

export interface Service {
  readonly useCases: UseCases;
  readonly migrations: MigrationUseCases;
  readonly fleets: FleetUseCases;
  readonly deliveries: DeliveryLog;
  readonly tokens: TokenStore;
  readonly audit: AuditLog;
  readonly inbound: InboundCommands;
  /** null: pipelines come with API tokens. */
  readonly federation: Federation | null;
  /** null: people sign in by API token alone. */
  readonly signOn: { readonly provider: SignOn; readonly people: People; readonly codes: LoginCodes } | null;
  readonly recorder: Recorder;
  readonly tracer: Tracer;
  /** What is missing and what to do; empty: ready. */
  ready(): Promise<readonly { readonly part: string; readonly message: string }[]>;
  /** What works, and should be otherwise in production. For the log of a start. Throws where Postgres is away. */
  cautions(): Promise<readonly string[]>;
  startWorker(): Worker;
  close(): Promise<void>;
}

export async function compose(settings: Settings, telemetry: Telemetry): Promise<Service> {
  const { log } = telemetry;
  const [meshes, providers, checks, guards, ways, kinds] = await Promise.all([
    loadMeshes(),
    loadProviders<MetricsModule>(),
    loadChecks(),
    loadGuards(),
    loadPreparations(),
    loadChannels(),
  ]);
  const { severity, ...demands } = settings.preflight ?? { severity: {}, minVersion: {} };
  knownChecks(Object.keys(severity), [...checks.keys()]);
  const webhooks = settings.webhooks ?? { secrets: [], allowed: { ranges: [], suffixes: [] } };
  const usual = (settings.channels ?? []).filter((channel) => channel.usual).map(({ name }) => name);
  // Before anything is open that would keep the process from ending with the reason.
  const told = openChannels(settings.channels ?? [], kinds, openOutbound({ allowed: webhooks.allowed }));
  const db = openDatabase({ url: settings.databaseUrl, log });
  const shown = settings.clusters.some(({ kiali }) => kiali !== undefined);
  const traced = settings.clusters.some(({ jaeger }) => jaeger !== undefined);
  const channels = [
    ...(settings.slack === null ? [] : ['slack']),
    ...(traced ? [TRACES] : []),
    ...(shown ? [MESH_HEALTH] : []),
    LEFTOVERS,
  ];
  // The recorder comes later: it asks the store, which asks the tracer. Until there is work there are no spans.
  const tracing = telemetry.tracing?.({ recorder: { spans: (...counted) => recorder.spans(...counted) }, log });
  const tracer = tracing ?? UNTRACED;
  const outbound = openOutbound({ allowed: webhooks.allowed, tracer });
  const rows = postgresRolloutStore(db, { channels, usual, traceOf: tracer.traceOf, log });
  const store = tracing === undefined ? rows : withStepSpans(rows, { tracer, starts: postgresStepStarts(db), log });
  const queue = await openQueue({ backend: settings.queue, log });
  const recorder: Recorder = telemetry.recorder({ gauges: store.gauges, depth: queue.depth });
  const clusters = await openClusters(settings.clusters, meshes, providers, { recorder, tracer, log }).catch(
    async (error) => {
      // What is open already would keep the process from ending with the reason.
      await Promise.all([queue.close(), store.close().then(() => db.close())]);
      throw error;
    },
  );
  const gateways = { meshes: meshGateway(clusters, meshes, readWorkload), metrics: metricsGateway(clusters) };
  const inspected = inspectedClusters(settings.clusters, clusters, { recorder, tracer });
  const inspector = openInspector({
    clusters: inspected,
    meshes,
    checks,
    policy: { ...demands, writesHere: settings.writesHere ?? true },
    severity,
    log,
  });
  const preparations = openPreparations({
    clusters,
    meshes,
    preparations: ways,
    writesHere: settings.writesHere ?? true,
  });
  const audit = postgresAudit(db);
  const commandPorts = { store, queue, audit, log, identities: settings.trust?.identities ?? NOTHING_JOINED };
  const probes = prober({ allowed: settings.probeHosts ?? [], tracer });
  const gates = gateKeeper({ outbound, secrets: webhooks.secrets, now: Date.now });
  const deliveries = postgresDeliveryLog(db);
  const parser = planParser(
    [...meshes.values()],
    [...providers.keys()],
    (check, target) => inspectCheck(check, target, meshFor(meshes, target.mesh).views(target)),
    (cluster) => {
      const found = clusters.get(cluster);
      return found === undefined ? null : { known: [...found.providers.keys()], usual: found.defaultProvider };
    },
    inspector.checks,
    (asked, target) => stepObjection(meshes, probes, asked, target),
    guardSpecs(guards, meshes),
    { channels: told.map(({ name }) => name), objection: gates.objection },
  );
  const validator = validatorOf(settings.clusters, tracer);
  const traces = postgresTraceStore(db);
  const health = postgresHealthStore(db);
  const tracesOf = traceSources(settings.clusters, tracer);
  const startPorts: StartPorts = {
    ...gateways,
    ...commandPorts,
    inspector,
    preparations,
    ...(validator === null ? {} : { validator }),
    parser,
    clusters: [...clusters.keys()],
    remotes: remotesOf(settings.clusters),
    served: { matrix: capabilityMatrix(meshes), version: servedVersion(clusters, meshes) },
    newId: () => newId('ro'),
  };
  const places: Places = {
    sent(document) {
      const parsed = parse(startPorts, document);
      return parsed.ok ? places.of(parsed.plan.target) : null;
    },
    of(target) {
      if (!clusters.has(target.cluster)) return null;
      const object = gateways.meshes.router(target).object.split('/').at(-1) ?? '';
      return { namespace: target.namespace, service: target.service, object };
    },
  };
  const unscoped: UseCases = {
    start: (document, principal, idempotency) => start(startPorts, { document, principal, idempotency }),
    dryRun: (document, principal) => dryRun(startPorts, document, principal),
    backTest: (document, past) => backTest(startPorts, document, past),
    mesh: (question) => meshStatus({ inspector }, question),
    async command(id, wanted, principal, { step, version }) {
      const request = { id, command: wanted, by: principal, expectedStep: step, expectedVersion: version };
      return wanted.name === 'retry'
        ? retry(commandPorts, startPorts, request, principal)
        : command(commandPorts, request);
    },
    revert: (id, how, principal) => revert(startPorts, { id, ...how, principal }),
    get: async (id) => (await store.load(id))?.rollout ?? null,
    list: store.list,
    facts: store.facts,
    measurements: store.measurements,
    writes: store.writes,
    evidence: store.evidence,
    ledger: store.ledger,
    source: store.source,
    waitForChange: store.waitForChange,
    planSchema: parser.jsonSchema,
    outside: outsideLinks(settings.clusters),
    traces: (id) => traces.of(id),
    meshHealth: (id) => health.of(id),
    async tracesNow(id) {
      const loaded = await store.load(id);
      return loaded === null ? null : lookNow({ sourceOf: tracesOf }, loaded.rollout, loaded.now);
    },
    capabilities: capabilityMatrix(meshes),
  };
  const useCases = scopedUseCases(unscoped, places);
  const listeners: Listeners = { slack: settings.slack !== null, usual };
  const fleets = postgresFleetStore(db, listeners);
  const fleetPorts = { fleets, start: startPorts };
  const fleetStart = { ...fleetPorts, newFleetId: () => newId('fr') };
  const unscopedFleets: FleetUseCases = {
    start: (document, principal, idempotency) => startFleet(fleetStart, document, principal, idempotency),
    dryRun: (document, principal) => dryRunFleet(fleetStart, document, principal),
    command: (id, wanted, principal, expected) => commandFleet(fleetPorts, id, wanted, principal, expected),
    async get(id) {
      const found = await fleets.load(id);
      return found === null ? null : { fleet: found.fleet, facts: await fleets.facts(id) };
    },
    list: fleets.list,
  };
  const fleetUseCases = scopedFleets(unscopedFleets, {
    sent(document) {
      const parsed = parseFleet(startPorts, document);
      const [first] = parsed.ok ? parsed.plans : [];
      return first === undefined ? null : places.of(first.plan.target);
    },
    of: ({ spec }) => places.sent(childDocument(spec, 0, spec.waves[0]?.clusters[0] ?? '')),
  });
  const inbound = postgresInboundCommands(db);
  const slackSocket = await socketOf(settings.slack);
  const tickPorts = {
    ...gateways,
    ...commandPorts,
    guards: openGuards({ clusters, meshes, guards }),
    preparations,
    recorder,
    tracer,
    monotonic: () => performance.now(),
    evaluateWithin: evaluateWithin(settings),
    refusals: (plan: Plan) => refusalsOf(startPorts, plan),
    prober: probes,
    faults: faultWitness(clusters, meshes),
    gates,
    pageOf: (id: string) => linkTo(settings)({ kind: 'rollout', id }),
    ...(telemetry.crashPoint === undefined ? {} : { crashPoint: telemetry.crashPoint }),
  };
  const migrationPorts: MigrationPorts = {
    store: postgresMigrationStore(db, listeners),
    policies: policyGateway(
      migratedClusters(settings, inspected),
      meshesWith(useCases.capabilities, 'mtlsMigration'),
      remotesOf(settings.clusters),
    ),
    recorder,
    log,
    monotonic: () => performance.now(),
    ...(telemetry.migrationCrashPoint === undefined ? {} : { crashPoint: telemetry.migrationCrashPoint }),
  };
  return {
    useCases,
    migrations: scopedMigrations(
      migrationUseCases({ ...migrationPorts, audit, newId: () => `mm_${randomBytes(10).toString('hex')}` }),
    ),
    fleets: fleetUseCases,
    deliveries,
    tokens: postgresTokenStore(db),
    audit,
    inbound,
    ...trustParts(settings, db),
    recorder,
    tracer,
    ready: () => missing(store, queue, clusters),
    cautions: async () => ((await ownsAudit(db)) ? [OWNER] : []),
    startWorker: () =>
      startWorker({
        store,
        work: (handler) => queue.work(handler, { concurrency: settings.concurrency }),
        // A queue may call from within the work that woke it.
        tick: (id) => tracer.apart(() => tick(tickPorts, id)),
        loops: [
          () => repeat('fleet rollouts', () => fleetStep(fleetPorts, log), log),
          ...slackLoops(settings, db, { useCases, inbound, store, recorder, audit, tracer, log, slackSocket }),
          ...newsLoops(settings, db, { fleets, migrations: migrationPorts.store, recorder, tracer, log }),
          () =>
            repeat(
              'channels that are gone',
              () =>
                lostStep(
                  db,
                  [
                    ...channels,
                    ...(listeners.slack ? Object.values(NEWS_CHANNELS) : []),
                    ...told.map(({ name }) => name),
                    AFTER,
                  ],
                  log,
                ),
              log,
            ),
          ...alertLoops(db, told, {
            settings,
            deliveries,
            outbound,
            secrets: webhooks.secrets,
            store,
            fleets,
            migrations: migrationPorts.store,
            recorder,
            tracer,
            log,
          }),
          ...migrationLoops({
            store: migrationPorts.store,
            tick: (id) => tickMigration(migrationPorts, id),
            log,
            retention: settings.retention,
            now: Date.now,
          }),
          () =>
            startLeftovers({ outbox: postgresOutbox(db), store, leftovers: leftoverGateway(clusters, meshes), log }),
          ...healthLoops(settings, { outbox: postgresOutbox(db), store, health, tracer, log }),
          ...traceLoops(settings, { outbox: postgresOutbox(db), store, traces, sourceOf: tracesOf, log }),
        ],
        log,
        retention: settings.retention,
        now: Date.now,
      }),
    async close() {
      await Promise.all([queue.close(), tracing?.close()]);
      for (const { kube, providers: opened } of clusters.values()) {
        for (const provider of opened.values()) provider.close?.();
        kube.close();
      }
      await store.close();
      await db.close();
    },
  };
}

function trustParts({ trust, publicUrl }: Settings, db: Database): Pick<Service, 'federation' | 'signOn'> {
  const open = (issuer: string) => openIssuer({ issuer, now: Date.now });
  const login = trust?.login ?? null;
  const ci = trust?.ci ?? null;
  return {
    federation: ci === null ? null : openFederation(ci, open),
    signOn:
      login === null
        ? null
        : {
            provider: openSignOn({
              trust: login,
              issuer: open(login.issuer),
              clientSecret: trust?.clientSecret ?? null,
              redirectUri: `${publicUrl ?? ''}${CALLBACK_PATH}`,
            }),
            people: { principalOf: (person) => principalOfPerson(login, person), lasts: login.session },
            codes: postgresLoginCodes(db),
          },
  };
}

/** Each remote with the clusters of its mesh whose objects are read. */
const remotesOf = (clusters: readonly ClusterSettings[]): Remotes =>
  new Map(
    clusters.flatMap(({ name, topology }) => {
      if (topology?.role !== 'remote') return [];
      const read = clusters.filter((one) => one.topology?.meshID === topology.meshID && one.topology.role !== 'remote');
      return [[name, read.map((one) => one.name)] as const];
    }),
  );

const newId = (kind: 'ro' | 'fr'): string =>
  `${kind}_${randomBytes(12).toString('base64url').replaceAll(/[-_]/g, '0')}`;
/** What the mesh cannot carry, what this service does not write to its object, what a plan may not ask of the worker. */
function stepObjection(
  meshes: ReadonlyMap<string, MeshModule>,
  { objection }: Prober,
  asked: Temporary | Preparation,
  target: Target,
): string | null {
  const { kind } = asked;
  const missing = missingCapability(capabilityMatrix(meshes), { mesh: target.mesh, proxy: target['proxy'] }, asked);
  if (missing !== null) return missing.message;
  const mesh = meshFor(meshes, target.mesh);
  if (isPreparation(asked)) return null;
  if (!(mesh.adds ?? []).includes(asked.kind)) {
    const able = [...meshes.values()].filter((one) => one.adds?.includes(asked.kind)).map((one) => one.kind);
    return `a ${kind} step is not written to the object of mesh ${target.mesh} by this version of Sluice; it is for ${able.join(', ')}. Take the step out of the plan`;
  }
  return asked.kind === 'faultRehearsal' ? objection(asked.probe.url, target) : null;
}

const viewsOf = (mesh: MeshModule, target: Target, route?: string): readonly View[] =>
  route === undefined ? mesh.views(target) : (mesh.routeViews?.(target, route) ?? []);

const isPreparation = (asked: Temporary | Preparation): asked is Preparation =>
  PREPARATIONS.some((kind) => kind === asked.kind);

/** A misspelt name in the policy would leave the check that is meant without one. */
function knownChecks(named: readonly string[], known: readonly string[]): void {
  const unknown = named.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UnknownName('mesh check in SLUICE_PREFLIGHT_SEVERITY', unknown, known);
}

const MESH_NAMESPACES: Inspected['controlPlanes'] = { istio: 'istio-system', linkerd: 'linkerd' };

const inspectedClusters = (
  settings: readonly ClusterSettings[],
  clusters: Clusters,
  telemetry: { readonly recorder: Recorder; readonly tracer: Tracer },
): ReadonlyMap<string, Inspected> =>
  new Map(
    settings.flatMap(({ name, prometheus, meshNamespaces = MESH_NAMESPACES }) => {
      const kube = clusters.get(name)?.kube;
      if (kube === undefined) return [];
      const query = prometheus === null ? null : openQuery({ ...prometheus, ...telemetry });
      return [[name, { kube, query, controlPlanes: meshNamespaces, listing: listingOf(name, settings) }] as const];
    }),
  );

function listingOf(name: string, settings: readonly ClusterSettings[]): Listing | null {
  const topology = settings.find((one) => one.name === name)?.topology;
  if (topology === undefined) return null;
  const { meshID } = topology;
  const peers = settings.filter((one) => one.name !== name && meshID !== null && one.topology?.meshID === meshID);
  return { ...topology, peers: peers.map((one) => one.name) };
}

const SCRAPE_INTERVAL: Millis = 15_000;

const migratedClusters = (
  { clusters, writesHere = true }: Settings,
  inspected: ReadonlyMap<string, Inspected>,
): ReadonlyMap<string, MigratedCluster> =>
  new Map(
    [...inspected].map(([name, { kube, query, controlPlanes }]) => {
      const prometheus = clusters.find((cluster) => cluster.name === name)?.prometheus;
      const scrapeInterval = prometheus?.scrapeIntervalMs ?? SCRAPE_INTERVAL;
      return [name, { kube, query, root: controlPlanes.istio, writesHere, scrapeInterval }];
    }),
  );

/** One query's deadline and something to spare, for a configured one that is longer than usual. */
const evaluateWithin = ({ clusters }: Settings): Millis =>
  Math.max(6_000, ...clusters.map(({ prometheus }) => (prometheus?.timeoutMs ?? 0) + 1_000));

async function openClusters(
  settings: readonly ClusterSettings[],
  meshes: ReadonlyMap<string, MeshModule>,
  providers: ReadonlyMap<string, MetricsModule>,
  telemetry: Pick<MetricsPorts, 'recorder' | 'tracer' | 'log'>,
): Promise<Clusters> {
  const clients = new Map<string, Promise<OpenedKube>>();
  const clientOf = ({ name, kube, remoteSecret }: ClusterSettings): Promise<OpenedKube> => {
    const open = async (): Promise<OpenedKube> => {
      const holder = settings.find((one) => one.name === remoteSecret?.in);
      const from =
        remoteSecret === undefined || holder === undefined
          ? {}
          : { kubeconfigFrom: async () => kubeconfigIn(await clientOf(holder), remoteSecret) };
      return openKube({ cluster: name, log: telemetry.log, tracer: telemetry.tracer, ...kube, ...from });
    };
    const client = clients.get(name) ?? open();
    clients.set(name, client);
    return client;
  };
  const opened = settings.map(async (cluster): Promise<[string, Cluster]> => {
    const { name, prometheus, direct, defaultProvider } = cluster;
    const client = await clientOf(cluster);
    const ports: MetricsPorts = {
      kube: client,
      viewsOf: (target, route) => viewsOf(meshFor(meshes, target.mesh), target, route),
      countingOf: (target) => meshFor(meshes, target.mesh).counting(target),
      ...telemetry,
    };
    // By the module's name. A provider without settings here is not opened: this cluster has none.
    const own: Readonly<Record<string, object | null | undefined>> = { prometheus, direct: direct ?? {} };
    const open = [...providers].flatMap(([kind, module]) => {
      const given = own[kind] ?? null;
      return given === null ? [] : [[kind, module.open({ ...given, ...ports })] as const];
    });
    const usual = defaultProvider ?? (prometheus === null ? 'direct' : 'prometheus');
    return [name, { name, kube: client, providers: new Map(open), defaultProvider: usual }];
  });
  return new Map(await Promise.all(opened));
}

const OWNER =
  'the user of DATABASE_URL owns the tables, and could take away what keeps history and audit unchanged: give migrate the owner in DATABASE_OWNER_URL, and the service a role of its own (docs/operations.md, "The roles of the database")';

/** Rollouts need Postgres, the queue's back end and every API server. A Prometheus that is away stops no rollback. */
async function missing(
  store: { ping(): Promise<string | null> },
  queue: Pick<TickQueue, 'ping'>,
  clusters: Clusters,
): Promise<readonly { part: string; message: string }[]> {
  const parts: [string, Promise<string | null>][] = [
    ['postgres', store.ping()],
    ['queue', queue.ping()],
    ...[...clusters.values()].map(({ name, kube }): [string, Promise<string | null>] => [
      `kubernetes ${name}`,
      kube.ping(),
    ]),
  ];
  const asked = await Promise.all(parts.map(async ([part, answer]) => ({ part, message: await answer })));
  return asked.flatMap(({ part, message }) => (message === null ? [] : [{ part, message }]));
}

type ClusterOf = (name: string) => ClusterSettings | undefined;

const clusterOf =
  (clusters: readonly ClusterSettings[]): ClusterOf =>
  (name) =>
    clusters.find((cluster) => cluster.name === name);

/** null: no cluster has a Kiali whose word counts. */
function validatorOf(clusters: readonly ClusterSettings[], tracer: Tracer): MeshValidator | null {
  const validators = new Map(
    clusters.flatMap(({ name, kiali }): [string, MeshValidator][] =>
      kiali?.validations === true ? [[name, kialiValidator({ ...kiali, tracer })]] : [],
    ),
  );
  if (validators.size === 0) return null;
  return { findings: async (target) => (await validators.get(target.cluster)?.findings(target)) ?? [] };
}

function outsideLinks(clusters: readonly ClusterSettings[]): (rollout: Rollout) => OutsideLinks {
  const of = clusterOf(clusters);
  return ({ id, plan: { target }, createdAt, phase }) => {
    const { kiali, jaeger, grafana } = of(target.cluster) ?? {};
    const until = phase.name === 'ended' ? phase.at : null;
    return {
      kiali: kiali === undefined ? null : kialiLinks({ ...kiali, url: kiali.publicUrl ?? kiali.url }, target),
      jaeger: jaeger === undefined ? null : jaegerLinks(jaeger.publicUrl ?? jaeger.url, target, createdAt, until),
      grafana: grafana === undefined ? null : grafanaLinks(grafana, { id, target }, createdAt, until),
    };
  };
}

type HealthLoopPorts = Omit<HealthPorts, 'sourceOf'> & { readonly tracer: Tracer };

function healthLoops({ clusters }: Settings, ports: HealthLoopPorts) {
  const sources = new Map(
    clusters.flatMap(({ name, kiali }) =>
      kiali === undefined ? [] : [[name, kialiHealth({ ...kiali, tracer: ports.tracer })] as const],
    ),
  );
  if (sources.size === 0) return [];
  const sourceOf = (target: Target) => (isShown(target) ? (sources.get(target.cluster) ?? null) : null);
  return [() => startHealth({ ...ports, sourceOf })];
}

/** null: the cluster has no tracing. */
function traceSources(clusters: readonly ClusterSettings[], tracer: Tracer): TracePorts['sourceOf'] {
  const sources = new Map(
    clusters.flatMap(({ name, jaeger }) =>
      jaeger === undefined ? [] : [[name, jaegerSource({ ...jaeger, tracer })] as const],
    ),
  );
  return (target) => sources.get(target.cluster) ?? null;
}

const traceLoops = ({ clusters }: Settings, ports: TracePorts) =>
  clusters.some(({ jaeger }) => jaeger !== undefined) ? [() => startTraces(ports)] : [];

const LOST_EVERY: Millis = 3_600_000;

async function lostStep(db: Database, configured: readonly string[], log: Logger): Promise<Millis> {
  const lost = await giveUpLost(db, configured);
  if (lost > 0) log.warn({ lost }, 'messages of channels that are configured no more were given up');
  return LOST_EVERY;
}

interface AlertLoopPorts extends Pick<LoopPorts, 'store'>, NewsPorts {
  readonly settings: Settings;
  readonly deliveries: DeliveryLog;
  readonly outbound: Outbound;
  readonly secrets: readonly string[];
}

const VIEWS: Readonly<Record<SubjectKind, string>> = { rollout: 'rollouts', fleet: 'fleets', migration: 'migrations' };
const linkTo =
  ({ publicUrl }: Settings) =>
  ({ kind, id }: About): string | null =>
    publicUrl === null ? null : `${publicUrl}/ui/${VIEWS[kind]}/${id}`;

function alertLoops(db: Database, told: readonly OpenChannel[], ports: AlertLoopPorts) {
  const { settings, deliveries, outbound, secrets, store, fleets, migrations, recorder, tracer, log } = ports;
  const options = { outbound, log: deliveries, link: linkTo(settings), now: Date.now };
  const subjects: Subjects = {
    rollout: async (id) => mapped(await store.load(id), ({ rollout }) => rolloutSubject(rollout)),
    fleet: async (id) => mapped(await fleets.load(id), ({ fleet }) => fleetSubject(fleet)),
    migration: async (id) => mapped(await migrations.load(id), ({ migration }) => migrationSubject(migration)),
  };
  return [
    () =>
      startAlerts(
        { outbox: postgresAlertOutbox(db), subjects, recorder, tracer, log },
        told.map(({ name, request }) => channelNotifier(name, request, options)),
      ),
    // Without secrets no plan has webhooks.
    ...(secrets.length === 0
      ? []
      : [
          () =>
            startDelivery({ outbox: postgresAfterOutbox(db), store, recorder, tracer, log }, [
              afterNotifier(secrets, options),
            ]),
        ]),
  ];
}

const mapped = <T, R>(found: T | null, into: (found: T) => R): R | null => (found === null ? null : into(found));

interface LoopPorts {
  readonly useCases: UseCases;
  readonly inbound: InboundCommands;
  readonly store: ReturnType<typeof postgresRolloutStore>;
  readonly recorder: Recorder;
  readonly tracer: Tracer;
  readonly audit: AuditLog;
  readonly log: Logger;
  readonly slackSocket: SlackSocket | null;
}

type SlackSocket = (intake: Intake) => Repeating;

/** Loaded only where it is wanted: it brings a WebSocket client of its own. */
async function socketOf(slack: SlackSettings | null): Promise<SlackSocket | null> {
  if (slack?.appToken === undefined) return null;
  const { appToken, apiUrl } = slack;
  const { slackSocket } = await import('./adapters/notify/slack-socket.ts');
  return (intake) => slackSocket({ ...intake, appToken, apiUrl });
}

function slackLoops(settings: Settings, db: Database, ports: LoopPorts) {
  const { slack } = settings;
  if (slack === null) return [];
  const { useCases, inbound, store, recorder, audit, tracer, log, slackSocket } = ports;
  const notifier: Notifier = slackNotifier({
    api: slackApi({ token: slack.token, apiUrl: slack.apiUrl, tracer, log }),
    channel: slack.channel,
    messages: slackMessages(db),
    store,
    link: (id) => linkTo(settings)({ kind: 'rollout', id }),
    log,
  });
  const principals = postgresSlackPrincipals(db);
  const respond = slackResponder({ apiUrl: slack.apiUrl });
  return [
    () => startDelivery({ outbox: postgresOutbox(db), store, recorder, tracer, log }, [notifier]),
    () => repeat('commands from Slack', () => inboundStep({ useCases, principals, audit, respond, inbound, log }), log),
    ...(slackSocket === null ? [] : [() => slackSocket({ accept: inbound.accept, log })]),
  ];
}

interface NewsPorts extends Pick<LoopPorts, 'recorder' | 'tracer' | 'log'> {
  readonly fleets: Pick<FleetStore, 'load'>;
  readonly migrations: Pick<MigrationStore, 'load'>;
}

/** What Slack is told of fleet rollouts and of migrations. */
function newsLoops(settings: Settings, db: Database, { fleets, migrations, recorder, tracer, log }: NewsPorts) {
  const { slack } = settings;
  if (slack === null) return [];
  const options = {
    api: slackApi({ token: slack.token, apiUrl: slack.apiUrl, tracer, log }),
    channel: slack.channel,
    messages: slackMessages(db, 'news'),
  };
  const link = linkTo(settings);
  const subjects: Readonly<Record<NewsKind, (id: string) => Promise<NewsSubject | null>>> = {
    fleet: async (id) => mapped(await fleets.load(id), ({ fleet }) => fleetNews(fleet, link({ kind: 'fleet', id }))),
    migration: async (id) =>
      mapped(await migrations.load(id), ({ migration }) => migrationNews(migration, link({ kind: 'migration', id }))),
  };
  return (['fleet', 'migration'] as const).map((kind) => () => {
    const ports = { outbox: postgresNewsOutbox(db, kind), recorder, log };
    const channel = NEWS_CHANNELS[kind];
    const deliver = () => handOver(ports, channel, (news) => tellNews(options, news, subjects[kind]));
    return deliveryLoop(channel, deliver, log);
  });
}
