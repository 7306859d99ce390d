/** The composition root: settings -> adapters -> use cases -> an API, a worker, or both. The only file that knows everybody. */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Clusters } from './adapters/clusters.ts';
import { leftoverGateway, meshGateway, metricsGateway, servedVersion } from './adapters/clusters.ts';
import { faultWitness } from './adapters/fault-witness.ts';
import { gateKeeper } from './adapters/gates.ts';
import { openGuards } from './adapters/guard-post.ts';
import { loadChecks, openInspector } from './adapters/inspect/inspect.ts';
import { readWorkload } from './adapters/kubernetes/workloads.ts';
import { openChannels } from './adapters/notify/open-channels.ts';
import { openFederation } from './adapters/oidc/federation.ts';
import { openIssuer } from './adapters/oidc/issuer.ts';
import { openSignOn } from './adapters/oidc/sign-on.ts';
import { openOutbound } from './adapters/outbound/post.ts';
import { policyGateway } from './adapters/policies/gateway.ts';
import { ownsAudit, postgresAudit } from './adapters/postgres/audit.ts';
import type { Database } from './adapters/postgres/db.ts';
import { openDatabase } from './adapters/postgres/db.ts';
import { postgresDeliveryLog } from './adapters/postgres/deliveries.ts';
import { postgresFleetStore } from './adapters/postgres/fleet-store.ts';
import { postgresInboundCommands } from './adapters/postgres/inbound-commands.ts';
import { postgresLoginCodes } from './adapters/postgres/login-codes.ts';
import { postgresHealthStore } from './adapters/postgres/mesh-health.ts';
import { postgresMigrationStore } from './adapters/postgres/migration-store.ts';
import { postgresOutbox } from './adapters/postgres/outbox.ts';
import { postgresRolloutStore } from './adapters/postgres/rollout-store.ts';
import { postgresStepStarts } from './adapters/postgres/step-starts.ts';
import { postgresTokenStore } from './adapters/postgres/tokens.ts';
import { postgresTraceStore } from './adapters/postgres/traces.ts';
import { openPreparations } from './adapters/preparation-post.ts';
import { prober } from './adapters/prober.ts';
import { inspectCheck } from './adapters/prometheus/inspect.ts';
import { openQueue } from './adapters/queue.ts';
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
import type { AuditLog } from './app/audit/log.ts';
import { backTest } from './app/backtest.ts';
import { command, retry } from './app/commands.ts';
import { AFTER } from './app/deliveries.ts';
import { parseFleet } from './app/fleet/document.ts';
import { commandFleet, fleetStep } from './app/fleet/look.ts';
import type { FleetUseCases } from './app/fleet/ports.ts';
import { dryRunFleet, startFleet } from './app/fleet/start.ts';
import { LEFTOVERS, startLeftovers } from './app/leftovers.ts';
import { meshStatus } from './app/mesh.ts';
import { refusalsOf } from './app/mesh-findings.ts';
import { MESH_HEALTH } from './app/mesh-health.ts';
import { metricsStatus } from './app/metrics-status.ts';
import { migrationLoops } from './app/migration/loop.ts';
import type { MigrationPorts } from './app/migration/tick.ts';
import { tickMigration } from './app/migration/tick.ts';
import type { MigrationUseCases } from './app/migration/usecases.ts';
import { migrationUseCases } from './app/migration/usecases.ts';
import type { Listeners } from './app/news.ts';
import { NEWS_CHANNELS } from './app/news.ts';
import { parse } from './app/parse.ts';
import { planParser } from './app/plan-schema.ts';
import type { DeliveryLog, InboundCommands, Recorder, TickQueue, TokenStore } from './app/ports.ts';
import { repeat } from './app/repeat.ts';
import { revert } from './app/revert.ts';
import type { StartPorts } from './app/start.ts';
import { dryRun, start } from './app/start.ts';
import { withStepSpans } from './app/step-spans.ts';
import { tick } from './app/tick.ts';
import type { Tracer } from './app/tracer.ts';
import { UNTRACED } from './app/tracer.ts';
import { lookNow, TRACES } from './app/traces.ts';
import type { People } from './app/trust/login.ts';
import { principalOfPerson } from './app/trust/login.ts';
import type { Federation, LoginCodes, SignOn } from './app/trust/ports.ts';
import { CALLBACK_PATH } from './app/trust/ports.ts';
import type { Places } from './app/trust/scope.ts';
import { scopedFleets, scopedMigrations, scopedUseCases } from './app/trust/scope.ts';
import type { UseCases } from './app/usecases.ts';
import type { Worker } from './app/worker.ts';
import { startWorker } from './app/worker.ts';
import { evaluateWithin, inspectedClusters, migratedClusters, openClusters, remotesOf } from './compose/clusters.ts';
import { healthLoops, outsideLinks, traceLoops, traceSources, validatorOf } from './compose/consoles.ts';
import { alertLoops, linkTo, lostStep, newsLoops, slackLoops, socketOf } from './compose/loops.ts';
import { knownChecks, stepObjection } from './compose/plans.ts';
import type { MetricsModule, Settings, Telemetry } from './compose/settings.ts';
import { meshesWith } from './domain/capabilities.ts';
import { childDocument } from './domain/fleet/fleet.ts';
import { NOTHING_JOINED } from './domain/person.ts';
import type { Plan } from './domain/plan.ts';

export type {
  ClusterSettings,
  KialiSettings,
  PreflightSettings,
  Settings,
  SlackSettings,
  Telemetry,
} from './compose/settings.ts';

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
    metricsProviders: () =>
      metricsStatus(
        [...clusters].flatMap(([cluster, { providers: opened }]) =>
          [...opened.values()].map((provider) => ({ cluster, provider })),
        ),
      ),
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

const newId = (kind: 'ro' | 'fr'): string =>
  `${kind}_${randomBytes(12).toString('base64url').replaceAll(/[-_]/g, '0')}`;

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
