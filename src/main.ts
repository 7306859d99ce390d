/** The command line of the service: `sluice <role>`. Reads the configuration, composes, runs, stops. */

import { parseArgs } from 'node:util';
import { UnknownName } from './app/ports.ts';
import type { ClusterSettings, Settings } from './compose.ts';
import { type ClusterConfig, type Config, environment, readConfig, VARIABLES } from './config.ts';
import { privateDatabase } from './development.ts';
import { openLog } from './telemetry/log.ts';

const HELP = `Sluice: progressive delivery for Istio and Linkerd

  api                    serve the REST API and Slack's requests
  worker                 step, judge, promote and roll back
  all                    both in one process
  migrate                bring the database schema up to date, then end
  token create --name NAME --role viewer|deployer|approver|admin [--expires 90d]
                         print a new API token (shown once)
  token list | token revoke --id ID
  slack map --team T --user U --name NAME --role ROLE | slack unmap --team T --user U
                         --reason TEXT is kept in the audit with any of them; create and map take, as often as wanted,
                         --person NAME (an e-mail address, a login: who it is, whatever way they come),
                         --group NAME (as the approvals of plans name it),
                         --namespace NAME and --service NAME (where they may change something; all, if absent)
  slack doctor           ask Slack whether tokens, scopes and channel are as they should be

Configuration, by environment (* may be given as NAME_FILE, the path of a file with the value):
${Object.entries(VARIABLES)
  .map(([name, what]) => `  ${name.padEnd(28)} ${what}`)
  .join('\n')}
`;

/** Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. */
class Usage extends Error {}

const OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  name: { type: 'string' },
  role: { type: 'string' },
  expires: { type: 'string' },
  id: { type: 'string' },
  team: { type: 'string' },
  user: { type: 'string' },
  reason: { type: 'string' },
  group: { type: 'string', multiple: true },
  person: { type: 'string', multiple: true },
  namespace: { type: 'string', multiple: true },
  service: { type: 'string', multiple: true },
} as const;

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parsed(argv);
  const [role, verb, ...surplus] = positionals;
  if (values.help === true || role === undefined || role === 'help') {
    process.stdout.write(HELP);
    return role === undefined && values.help !== true ? 2 : 0;
  }
  if (surplus.length > 0) throw new Usage(`unexpected argument ${JSON.stringify(surplus[0])}`);
  switch (role) {
    case 'api':
    case 'worker':
    case 'all': {
      const { serve } = await import('./serve.ts');
      return withDatabase((env) => {
        const config = checked(env);
        return serve(role, config, settingsOf(config), logOf(config));
      });
    }
    case 'migrate': {
      const { migrate } = await import('./adapters/postgres/migrate.ts');
      return withDatabase(async (env) => {
        const { owner, application } = databaseUsers(env);
        const ran = await migrate(owner, {
          direction: 'up',
          ...(application === null ? {} : { application }),
          log: () => undefined,
        });
        process.stdout.write(ran.length === 0 ? 'the schema is up to date\n' : `migrated: ${ran.join(', ')}\n`);
        return 0;
      });
    }
    case 'token':
    case 'slack': {
      if (role === 'slack' && verb === 'doctor') return await slackDoctor(environment);
      const { administer } = await import('./administer.ts');
      return withDatabase(async (env) => {
        process.stdout.write(await administer(databaseUrl(env), role, verb ?? '', values, Usage));
        return 0;
      });
    }
    default:
      throw new Usage(`unknown command ${JSON.stringify(role)}; known: api, worker, all, migrate, token, slack`);
  }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Usage((error as Error).message);
  }
}

type Env = typeof environment;

/** With the configured database, or on a developer's machine without one, with a private one. */
async function withDatabase(run: (env: Env) => Promise<number>): Promise<number> {
  const named = environment['DATABASE_URL'] !== undefined || environment['DATABASE_URL_FILE'] !== undefined;
  const database = named ? null : await privateDatabase((line) => void process.stderr.write(`sluice: ${line}\n`));
  try {
    return await run(database === null ? environment : { ...environment, DATABASE_URL: database.url });
  } finally {
    await database?.release();
  }
}

function checked(env: Env): Config {
  const read = readConfig(env);
  if (read.ok) return read.config;
  throw new Usage(`the configuration is not complete:\n${read.problems.map((problem) => `  - ${problem}`).join('\n')}`);
}

/** Stands for a cluster where none is used. */
const NO_CLUSTER = { KUBECONFIG: import.meta.filename, PROMETHEUS_URL: 'http://unused' };

/** 1 where something is wrong. Needs the settings of Slack alone, and no database. */
async function slackDoctor(env: Env): Promise<number> {
  const { examineSlack } = await import('./adapters/notify/slack-doctor.ts');
  const own = Object.entries(env).filter(([name]) => name.startsWith('SLACK_'));
  const { slack } = checked({ ...NO_CLUSTER, DATABASE_URL: 'postgres://unused', ...Object.fromEntries(own) });
  if (slack === null)
    throw new Usage('slack doctor: wanted SLACK_BOT_TOKEN and the other settings of Slack; found none');
  const findings = await examineSlack(slack);
  process.stdout.write(findings.map(({ well, message }) => `${well ? 'ok   ' : 'wrong'}  ${message}\n`).join(''));
  return findings.every(({ well }) => well) ? 0 : 1;
}

/** What needs only the database must not ask for clusters. */
function databaseConfig(env: Env): Config {
  const own = Object.entries(env).filter(([name]) => name.startsWith('DATABASE_'));
  return checked({ ...NO_CLUSTER, ...Object.fromEntries(own) });
}
const databaseUrl = (env: Env): string => databaseConfig(env).databaseUrl;

/** Who migrates, and whom the rights are for; null: the same. */
function databaseUsers(env: Env): { readonly owner: string; readonly application: string | null } {
  const { databaseUrl: url, databaseOwnerUrl } = databaseConfig(env);
  const userOf = (address: string): string => decodeURIComponent(new URL(address).username);
  if (databaseOwnerUrl === null || userOf(databaseOwnerUrl) === userOf(url))
    return { owner: databaseOwnerUrl ?? url, application: null };
  return { owner: databaseOwnerUrl, application: userOf(url) };
}

const logOf = ({ logLevel, secrets }: Config) => openLog({ level: logLevel, secrets });

const settingsOf = (config: Config): Settings => ({
  databaseUrl: config.databaseUrl,
  queue:
    config.redisUrl === null ? { kind: 'postgres', url: config.databaseUrl } : { kind: 'redis', url: config.redisUrl },
  clusters: config.clusters.map(clusterOf),
  concurrency: config.concurrency,
  retention: config.retention,
  probeHosts: config.probeHosts,
  channels: config.channels,
  webhooks: config.webhooks,
  slack:
    config.slack === null
      ? null
      : {
          token: config.slack.token,
          channel: config.slack.channel,
          apiUrl: config.slack.apiUrl ?? undefined,
          appToken: config.slack.appToken ?? undefined,
        },
  publicUrl: config.publicUrl,
  ...(config.trust === null ? {} : { trust: { ...config.trust, clientSecret: config.oidcClientSecret } }),
  preflight: {
    severity: config.preflight.severity,
    minVersion: config.preflight.minVersion,
    ...(config.preflight.sidecarResources === null ? {} : { sidecarResources: config.preflight.sidecarResources }),
  },
});

const clusterOf = ({
  name,
  kubeconfigFile,
  context,
  inCluster,
  remoteSecret,
  prometheus,
  direct,
  metricsProvider,
  meshNamespaces,
  topology,
  kiali,
  jaeger,
  grafana,
}: ClusterConfig): ClusterSettings => ({
  name,
  kube: {
    inCluster,
    ...(kubeconfigFile === null ? {} : { kubeconfigFile }),
    ...(context === null ? {} : { context }),
  },
  prometheus:
    prometheus === null
      ? null
      : {
          url: prometheus.url,
          timeoutMs: prometheus.timeout,
          scrapeIntervalMs: prometheus.scrapeInterval,
          ...(prometheus.auth === null ? {} : { auth: prometheus.auth }),
        },
  direct: { intervalMs: direct.interval, concurrency: direct.concurrency },
  defaultProvider: metricsProvider,
  meshNamespaces,
  ...(topology === undefined ? {} : { topology }),
  ...(remoteSecret === undefined ? {} : { remoteSecret }),
  ...(kiali === undefined ? {} : { kiali }),
  ...(jaeger === undefined ? {} : { jaeger: { ...jaeger, auth: headerOf(jaeger.auth) } }),
  ...(grafana === undefined ? {} : { grafana }),
});

const headerOf = (auth: NonNullable<ClusterConfig['jaeger']>['auth']) => {
  if (auth === null) return null;
  return auth.kind === 'bearer'
    ? { name: 'authorization', value: `Bearer ${auth.token}` }
    : { name: auth.name, value: auth.value };
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof Usage || error instanceof UnknownName;
  const text = error instanceof Error ? (usage ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`sluice: ${text}\n${usage ? 'sluice --help shows the commands and the configuration\n' : ''}`);
  process.exitCode = usage ? 2 : 1;
}
