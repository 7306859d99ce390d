import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Config, readConfig, VARIABLES } from '../src/config.ts';

type Env = Record<string, string>;

let dir: string;
let kubeconfig: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-config-'));
  kubeconfig = await file('kubeconfig', 'apiVersion: v1');
});
afterAll(() => rm(dir, { recursive: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, text);
  return path;
}

const least = (more: Env = {}): Env => ({
  DATABASE_URL: 'postgres://sluice:pg-secret@db:5432/sluice',
  KUBECONFIG: kubeconfig,
  PROMETHEUS_URL: 'http://prometheus:9090',
  ...more,
});
const without = (env: Env, ...names: string[]): Env =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));

function config(env: Env): Config {
  const read = readConfig(env);
  if (!read.ok) throw new Error(read.problems.join('\n'));
  return read.config;
}
function problems(env: Env): readonly string[] {
  const read = readConfig(env);
  if (read.ok) throw new Error('wanted problems, found none');
  return read.problems;
}

const NO_PROMETHEUS =
  'PROMETHEUS_URL: wanted the address of Prometheus, like http://prometheus.monitoring:9090 (SLUICE_METRICS_PROVIDER=direct does without); found nothing';

describe('what is not said', () => {
  it('has a default that the list of variables names', () => {
    const found = config(least());
    expect(found).toMatchObject({
      host: '0.0.0.0',
      port: 8080,
      publicUrl: null,
      redisUrl: null,
      concurrency: 300,
      retention: 90 * 86_400_000,
      logLevel: 'info',
      metricsOpen: false,
      slack: null,
      sessionKey: null,
      clusters: [
        {
          name: 'default',
          kubeconfigFile: kubeconfig,
          context: null,
          inCluster: false,
          prometheus: { url: 'http://prometheus:9090', auth: null, scrapeInterval: 15_000, timeout: 5_000 },
          direct: { interval: 1_000, concurrency: 64 },
          metricsProvider: 'prometheus',
        },
      ],
    });
    for (const [name, value] of [
      ['HOST', '0.0.0.0'],
      ['PORT', '8080'],
      ['SLUICE_CONCURRENCY', '300'],
      ['SLUICE_RETENTION', '90d'],
      ['PROMETHEUS_SCRAPE_INTERVAL', '15s'],
      ['PROMETHEUS_TIMEOUT', '5s'],
      ['SLUICE_METRICS_PROVIDER', 'prometheus'],
      ['SLUICE_DIRECT_INTERVAL', '1s'],
      ['SLUICE_DIRECT_CONCURRENCY', '64'],
      ['LOG_LEVEL', 'info'],
      ['SLUICE_METRICS_OPEN', 'false'],
    ] as const)
      expect(VARIABLES[name]).toContain(`(${value})`);
  });

  it('is also what is set to the empty text, as compose and charts do', () => {
    const empty = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name.replace('*', ''), '']));
    expect(config({ ...empty, ...least() })).toEqual(config(least()));
  });
});

describe('what is said', () => {
  it('is read', () => {
    const found = config(
      least({
        REDIS_URL: 'rediss://:redis-secret@cache:6379/2',
        HOST: '127.0.0.1',
        PORT: '0',
        SLUICE_PUBLIC_URL: 'https://sluice.example.com/',
        SLUICE_KUBE_CONTEXT: 'prod',
        SLUICE_CONCURRENCY: '7',
        SLUICE_RETENTION: '30d',
        SLUICE_METRICS_OPEN: 'true',
        SLUICE_SESSION_KEY: 'a key of at least 32 characters, made up',
        SLUICE_PROMETHEUS_PUBLIC_URL: 'https://metrics.example.com',
        LOG_LEVEL: 'debug',
        PROMETHEUS_SCRAPE_INTERVAL: '30s',
        PROMETHEUS_TIMEOUT: '2s',
        SLUICE_METRICS_PROVIDER: 'direct',
        SLUICE_DIRECT_INTERVAL: '2s',
        SLUICE_DIRECT_CONCURRENCY: '9',
      }),
    );
    expect(found).toMatchObject({
      redisUrl: 'rediss://:redis-secret@cache:6379/2',
      host: '127.0.0.1',
      port: 0,
      publicUrl: 'https://sluice.example.com',
      concurrency: 7,
      retention: 30 * 86_400_000,
      logLevel: 'debug',
      metricsOpen: true,
      sessionKey: 'a key of at least 32 characters, made up',
      secrets: expect.arrayContaining(['a key of at least 32 characters, made up']),
      clusters: [
        {
          context: 'prod',
          prometheus: {
            url: 'http://prometheus:9090',
            publicUrl: 'https://metrics.example.com',
            scrapeInterval: 30_000,
            timeout: 2_000,
          },
          direct: { interval: 2_000, concurrency: 9 },
          metricsProvider: 'direct',
        },
      ],
    });
  });

  it('a session key is long, and is not shown where it is not', () => {
    expect(problems(least({ SLUICE_SESSION_KEY: 'too-short' }))).toEqual([
      'SLUICE_SESSION_KEY: wanted at least 32 characters',
    ]);
  });

  it('cannot be changed afterwards, at any depth', () => {
    const found = config(least());
    expect(() => Object.assign(found, { port: 1 })).toThrow(TypeError);
    expect(() => Object.assign(found.clusters[0]?.prometheus as object, { url: 'http://elsewhere' })).toThrow(
      TypeError,
    );
  });

  it('"forever" keeps every rollout', () => {
    expect(config(least({ SLUICE_RETENTION: 'forever' })).retention).toBeNull();
  });

  it.each([
    [
      'basic',
      { PROMETHEUS_USERNAME: 'ana', PROMETHEUS_PASSWORD: 'prom-secret' },
      { kind: 'basic', username: 'ana', password: 'prom-secret' },
    ],
    ['bearer', { PROMETHEUS_BEARER_TOKEN: 'prom-secret' }, { kind: 'bearer', token: 'prom-secret' }],
    [
      'header',
      { PROMETHEUS_HEADER_NAME: 'X-Scope-OrgID', PROMETHEUS_HEADER_VALUE: 'team-1' },
      { kind: 'header', name: 'X-Scope-OrgID', value: 'team-1' },
    ],
  ])('Prometheus is asked with %s auth', (_, env, auth) => {
    expect(config(least(env)).clusters[0]?.prometheus?.auth).toEqual(auth);
  });

  it('Kiali and Jaeger have their addresses, styles and credentials, which are secrets', () => {
    const found = config(
      least({
        SLUICE_KIALI_URL: 'http://kiali.istio-system:20001/kiali',
        SLUICE_KIALI_PUBLIC_URL: 'https://kiali.example.com',
        SLUICE_KIALI_OBJECT_PATH: 'legacy',
        SLUICE_KIALI_VALIDATIONS: 'true',
        SLUICE_KIALI_TOKEN: 'kiali-secret',
        SLUICE_JAEGER_URL: 'http://ana:url-secret@tracing.istio-system/jaeger',
        SLUICE_JAEGER_API: 'v3',
        SLUICE_JAEGER_HEADER_NAME: 'x-api-key',
        SLUICE_JAEGER_HEADER_VALUE: 'jaeger-secret',
      }),
    );
    expect(found.clusters[0]?.kiali).toEqual({
      url: 'http://kiali.istio-system:20001/kiali',
      publicUrl: 'https://kiali.example.com',
      objectPath: 'legacy',
      validations: true,
      token: 'kiali-secret',
    });
    expect(found.clusters[0]?.jaeger).toEqual({
      url: 'http://ana:url-secret@tracing.istio-system/jaeger',
      api: 'v3',
      auth: { kind: 'header', name: 'x-api-key', value: 'jaeger-secret' },
    });
    expect(found.secrets).toEqual(expect.arrayContaining(['kiali-secret', 'jaeger-secret', 'url-secret']));
    const usual = config(least({ SLUICE_KIALI_URL: 'http://k', SLUICE_JAEGER_URL: 'http://j' })).clusters[0];
    expect(usual).toMatchObject({
      kiali: { objectPath: 'gvk', validations: false, token: null },
      jaeger: { api: 'auto', auth: null },
    });
    expect(config(least()).clusters[0]).not.toHaveProperty('kiali');
  });

  it.each([
    [undefined, { namespace: 'namespace', service: 'service', canary: 'canary' }],
    ['namespace=ns,canary=workload', { namespace: 'ns', canary: 'workload' }],
  ])('a dashboard of Grafana has its variables: %s', (SLUICE_GRAFANA_VARIABLES, variables) => {
    const url = 'https://ana:grafana-secret@grafana.example.com/d/abc';
    const found = config(
      least({
        SLUICE_GRAFANA_URL: url,
        ...(SLUICE_GRAFANA_VARIABLES === undefined ? {} : { SLUICE_GRAFANA_VARIABLES }),
      }),
    );
    expect(found.clusters[0]?.grafana).toEqual({ url, variables });
    expect(found.secrets).toContain('grafana-secret');
    expect(config(least()).clusters[0]).not.toHaveProperty('grafana');
  });

  it('Slack has one signing secret or, while it is rotated, several', () => {
    const slack = {
      SLACK_SIGNING_SECRET: 'old-secret, new-secret',
      SLACK_BOT_TOKEN: 'xoxb-1',
      SLACK_CHANNEL: 'C1',
      SLACK_API_URL: 'http://127.0.0.1:1/api/',
    };
    expect(config(least(slack)).slack).toEqual({
      signingSecrets: ['old-secret', 'new-secret'],
      appToken: null,
      token: 'xoxb-1',
      channel: 'C1',
      apiUrl: 'http://127.0.0.1:1/api/',
    });
  });

  it('Slack needs no signing secret with Socket Mode, and takes both while an app moves from one to the other', () => {
    const slack = { SLACK_APP_TOKEN: 'xapp-1', SLACK_BOT_TOKEN: 'xoxb-1', SLACK_CHANNEL: 'C1' };
    expect(config(least(slack)).slack).toMatchObject({ signingSecrets: [], appToken: 'xapp-1' });
    expect(config(least({ ...slack, SLACK_SIGNING_SECRET: 'old' })).slack).toMatchObject({
      signingSecrets: ['old'],
      appToken: 'xapp-1',
    });
  });
});

describe('a problem', () => {
  it('does not hide the others: all are listed at once, with name, wish and finding', () => {
    expect(
      problems({
        DATABASE_URL: 'mysql://db',
        PORT: '80808',
        LOG_LEVEL: 'loud',
        SLUICE_CONCURRENCY: 'many',
        SLUICE_RETENTION: '90',
        KUBECONFIG: '/nowhere/kubeconfig',
      }),
    ).toEqual([
      'DATABASE_URL: wanted a URL that begins with postgres:// or postgresql://',
      NO_PROMETHEUS,
      'KUBECONFIG: no file at /nowhere/kubeconfig',
      'PORT: wanted a whole number from 0 to 65535; found "80808"',
      'SLUICE_CONCURRENCY: wanted a whole number from 1 to 10000; found "many"',
      'SLUICE_RETENTION: wanted a duration with a unit, like 15s or 90d, of at least 3600 s; found "90"',
      'LOG_LEVEL: wanted one of debug, info, warn, error; found "loud"',
    ]);
  });

  it('is said of an empty environment in words that say what to set', () => {
    expect(problems({})).toEqual([
      'DATABASE_URL: wanted a Postgres URL, like postgres://user:password@host:5432/sluice; found nothing',
      NO_PROMETHEUS,
      expect.stringMatching(/^KUBECONFIG: wanted the path of a kubeconfig/),
    ]);
  });

  it.each([
    ['PORT', '-1'],
    ['PORT', '1e3'],
    ['PORT', '8080 '],
    ['SLUICE_CONCURRENCY', '0'],
    ['SLUICE_RETENTION', '1s'],
    ['PROMETHEUS_TIMEOUT', '5'],
    ['PROMETHEUS_URL', 'prometheus:9090'],
    ['SLUICE_PUBLIC_URL', 'sluice.example.com'],
    ['REDIS_URL', 'http://cache'],
    ['SLUICE_METRICS_OPEN', 'yes'],
    ['SLUICE_METRICS_PROVIDER', 'datadog'],
    ['SLUICE_DIRECT_INTERVAL', '100ms'],
    ['SLUICE_DIRECT_INTERVAL', '11s'],
    ['SLUICE_DIRECT_CONCURRENCY', '0'],
    ['SLUICE_KIALI_URL', 'kiali'],
    ['SLUICE_JAEGER_URL', 'jaeger:16686'],
    ['SLUICE_GRAFANA_URL', 'grafana/d/abc'],
  ])('is %s=%s', (name, value) => {
    expect(problems(least({ [name]: value }))).toEqual([expect.stringMatching(new RegExp(`^${name}: wanted `))]);
  });

  it('never shows what may be a secret', () => {
    const secrets = { DATABASE_URL: 'mysql://u:hidden-1@db', REDIS_URL: 'http://:hidden-2@cache' };
    expect(problems(least(secrets)).join('\n')).not.toMatch(/hidden/);
  });

  it.each([
    [
      'two ways to authenticate',
      { PROMETHEUS_BEARER_TOKEN: 'a', PROMETHEUS_HEADER_NAME: 'b', PROMETHEUS_HEADER_VALUE: 'c' },
      /^PROMETHEUS_\*: wanted one way/,
    ],
    [
      'a user without a password',
      { PROMETHEUS_USERNAME: 'ana' },
      /^PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD: wanted both/,
    ],
    [
      'a header without a value',
      { PROMETHEUS_HEADER_NAME: 'X' },
      /^PROMETHEUS_HEADER_NAME and PROMETHEUS_HEADER_VALUE: wanted both/,
    ],
    [
      'a style of Kiali that is none',
      { SLUICE_KIALI_URL: 'http://k', SLUICE_KIALI_OBJECT_PATH: 'new' },
      /^SLUICE_KIALI_OBJECT_PATH: wanted one of gvk, legacy; found "new"/,
    ],
    [
      'a token of a Kiali that is nowhere',
      { SLUICE_KIALI_TOKEN: 't' },
      /^SLUICE_KIALI_TOKEN: has no effect without SLUICE_KIALI_URL/,
    ],
    [
      'variables of a Grafana that is nowhere',
      { SLUICE_GRAFANA_VARIABLES: 'namespace=ns' },
      /^SLUICE_GRAFANA_VARIABLES: has no effect without SLUICE_GRAFANA_URL/,
    ],
    [
      'something that no dashboard is told',
      { SLUICE_GRAFANA_URL: 'http://g/d/abc', SLUICE_GRAFANA_VARIABLES: 'pod=p' },
      /^SLUICE_GRAFANA_VARIABLES: wanted pairs like name=value, separated by commas with names of cluster, namespace/,
    ],
    [
      'a name that is none of a variable',
      { SLUICE_GRAFANA_URL: 'http://g/d/abc', SLUICE_GRAFANA_VARIABLES: 'namespace=a b' },
      /^SLUICE_GRAFANA_VARIABLES: wanted pairs/,
    ],
    [
      'an API of a Jaeger that is nowhere',
      { SLUICE_JAEGER_API: 'v3' },
      /^SLUICE_JAEGER_API: has no effect without SLUICE_JAEGER_URL/,
    ],
    [
      'a header of Jaeger without a value',
      { SLUICE_JAEGER_URL: 'http://j', SLUICE_JAEGER_HEADER_NAME: 'X' },
      /^SLUICE_JAEGER_HEADER_NAME and SLUICE_JAEGER_HEADER_VALUE: wanted both/,
    ],
    [
      'two ways to authenticate to Jaeger',
      {
        SLUICE_JAEGER_URL: 'http://j',
        SLUICE_JAEGER_TOKEN: 't',
        SLUICE_JAEGER_HEADER_NAME: 'X',
        SLUICE_JAEGER_HEADER_VALUE: 'v',
      },
      /^SLUICE_JAEGER_\*: wanted one way to authenticate/,
    ],
    [
      'Slack in part',
      { SLACK_BOT_TOKEN: 'xoxb-1', SLACK_CHANNEL: 'C1' },
      /^SLACK_SIGNING_SECRET or SLACK_APP_TOKEN: wanted, because Slack is set up in part/,
    ],
    [
      'a bot token where the app token is wanted',
      { SLACK_APP_TOKEN: 'xoxb-1', SLACK_BOT_TOKEN: 'xoxb-1', SLACK_CHANNEL: 'C1' },
      /^SLACK_APP_TOKEN: wanted an app-level token .*xapp-/,
    ],
  ])('is %s', (_, env, message) => {
    expect(problems(least(env))).toEqual([expect.stringMatching(message)]);
  });
});

describe('a cluster without a Prometheus', () => {
  const alone = (more: Env = {}): Env => ({
    ...without(least(), 'PROMETHEUS_URL'),
    SLUICE_METRICS_PROVIDER: 'direct',
    ...more,
  });

  it('is one whose proxies are read directly', () => {
    expect(config(alone()).clusters).toMatchObject([{ prometheus: null, metricsProvider: 'direct' }]);
    expect(config(alone()).secrets).toEqual(['pg-secret']);
  });

  it('must be meant: a forgotten address is a problem', () => {
    expect(problems(without(least(), 'PROMETHEUS_URL'))).toEqual([NO_PROMETHEUS]);
  });

  it.each([
    ['PROMETHEUS_TIMEOUT', '2s', 'PROMETHEUS_TIMEOUT'],
    ['PROMETHEUS_BEARER_TOKEN', 'token', 'the credentials in PROMETHEUS_*'],
  ])('has no use for %s', (name, value, what) => {
    expect(problems(alone({ [name]: value }))).toEqual([
      `PROMETHEUS_URL: wanted the address that ${what} is for; found nothing`,
    ]);
  });

  it('does not hide a wrong address', () => {
    expect(problems(alone({ PROMETHEUS_URL: 'prometheus:9090' }))).toEqual([
      expect.stringMatching(/^PROMETHEUS_URL: wanted a URL that begins with/),
    ]);
  });
});

describe('a name that nobody reads', () => {
  it.each(['SLUICE_CONCURENCY', 'PROMETHEUS_ADDRESS', 'SLACK_TOKEN', 'SLUICE_PORT'])(
    '%s is refused, with the known ones',
    (name) => {
      const [problem, ...others] = problems(least({ [name]: '1' }));
      expect(others).toEqual([]);
      expect(problem).toMatch(new RegExp(`^${name}: unknown; known: `));
      expect(problem).toContain(`${name.split('_')[0]}_`);
    },
  );

  it('of another program is none of our business', () => {
    expect(config(least({ PATH: '/bin', DATABASE_POOL: '5', SLUICED: 'x', HOSTNAME: 'pod' }))).toEqual(config(least()));
  });

  // A pod in whose namespace Services named sluice, prometheus and slack-bot exist.
  it('is not one that Kubernetes sets for each Service', () => {
    const links: Env = {};
    for (const service of ['SLUICE', 'PROMETHEUS', 'SLACK_BOT'])
      Object.assign(links, {
        [`${service}_SERVICE_HOST`]: '10.0.0.1',
        [`${service}_SERVICE_PORT`]: '8080',
        [`${service}_SERVICE_PORT_HTTP`]: '8080',
        [`${service}_PORT`]: 'tcp://10.0.0.1:8080',
        [`${service}_PORT_8080_TCP`]: 'tcp://10.0.0.1:8080',
        [`${service}_PORT_8080_TCP_PROTO`]: 'tcp',
        [`${service}_PORT_8080_TCP_PORT`]: '8080',
        [`${service}_PORT_8080_TCP_ADDR`]: '10.0.0.1',
      });
    expect(config(least(links))).toEqual(config(least()));
  });
});

describe('a secret in a file', () => {
  const starred = Object.keys(VARIABLES).filter((name) => name.endsWith('*'));

  it.each(starred)('is looked for where %s may hold one', (name) => {
    const variable = name.slice(0, -1);
    const found = problems({ ...without(least(), variable), [`${variable}_FILE`]: '/nowhere/secret' });
    expect(found).toContainEqual(expect.stringContaining(`${variable}_FILE: cannot read /nowhere/secret: ENOENT`));
  });

  it('is used without the line end that editors add', async () => {
    const path = await file('database-url', 'postgres://sluice:from-file@db/sluice\n');
    expect(config({ ...without(least(), 'DATABASE_URL'), DATABASE_URL_FILE: path }).databaseUrl).toBe(
      'postgres://sluice:from-file@db/sluice',
    );
  });

  it('that cannot be read, or is empty, is a problem', async () => {
    expect(problems(least({ PROMETHEUS_BEARER_TOKEN_FILE: '/nowhere/token' }))).toEqual([
      expect.stringMatching(/^PROMETHEUS_BEARER_TOKEN_FILE: cannot read \/nowhere\/token: ENOENT/),
    ]);
    const path = await file('empty', '\n');
    expect(problems(least({ PROMETHEUS_BEARER_TOKEN_FILE: path }))).toEqual([
      `PROMETHEUS_BEARER_TOKEN_FILE: wanted the value in ${path}; the file is empty`,
    ]);
  });

  it('and in the environment as well is a problem', async () => {
    const path = await file('token', 'a');
    expect(problems(least({ PROMETHEUS_BEARER_TOKEN: 'b', PROMETHEUS_BEARER_TOKEN_FILE: path }))).toEqual([
      'PROMETHEUS_BEARER_TOKEN: given twice, also as PROMETHEUS_BEARER_TOKEN_FILE; remove one',
    ]);
  });
});

describe('several clusters', () => {
  const clusters = async (text: string, env: Env = {}): Promise<Env> => ({
    ...without(least(env), 'PROMETHEUS_URL', 'KUBECONFIG'),
    SLUICE_CLUSTERS_FILE: await file('clusters.yaml', text),
  });

  it('says the part of each in a mesh of several, where the file does', async () => {
    const entry = (more: string): string => `{ inCluster: true, prometheus: { url: "http://p" }${more} }`;
    const env = await clusters(
      `clusters: { east: ${entry(', meshID: shop')}, edge: ${entry(', role: remote, meshID: shop, network: net-2')}, own: ${entry('')} }`,
    );
    expect(config(env).clusters.map(({ topology }) => topology)).toEqual([
      { role: 'primary', meshID: 'shop', network: null },
      { role: 'remote', meshID: 'shop', network: 'net-2' },
      undefined,
    ]);
  });

  it('may be reached by the Secret that an Istio of another one has, under the name that istioctl gives it', async () => {
    const env = await clusters(
      `clusters:
         here: { inCluster: true, prometheus: { url: "http://p" }, meshNamespaces: { istio: mesh } }
         west: { remoteSecret: { in: here }, prometheus: { url: "http://p" } }
         east: { remoteSecret: { in: here, namespace: keys, name: sluice-east, key: kubeconfig }, prometheus: { url: "http://p" } }`,
    );
    expect(config(env).clusters.map(({ remoteSecret }) => remoteSecret)).toEqual([
      undefined,
      { in: 'here', namespace: 'mesh', name: 'istio-remote-secret-west', key: 'west' },
      { in: 'here', namespace: 'keys', name: 'sluice-east', key: 'kubeconfig' },
    ]);
  });

  it('are read from the file, secrets from the variables that it names', async () => {
    const env = await clusters(
      `clusters:
         eu: { kubeconfig: ${kubeconfig}, context: prod-eu, prometheus: { url: "https://prom.eu", scrapeInterval: 30s, auth: { kind: bearer, tokenFrom: PROMETHEUS_EU } }, direct: { interval: 2s } }
         us: { inCluster: true, metricsProvider: direct, prometheus: { url: "https://prom.us", auth: { kind: basic, username: ana, passwordFrom: US_PASSWORD } } }
         small: { inCluster: true, metricsProvider: direct }`,
      { PROMETHEUS_EU: 'eu-secret', US_PASSWORD: 'us-secret' },
    );
    const found = config(env);
    const meshNamespaces = { istio: 'istio-system', linkerd: 'linkerd' };
    expect(found.clusters).toEqual([
      {
        name: 'eu',
        kubeconfigFile: kubeconfig,
        context: 'prod-eu',
        inCluster: false,
        prometheus: {
          url: 'https://prom.eu',
          scrapeInterval: 30_000,
          timeout: 5_000,
          auth: { kind: 'bearer', token: 'eu-secret' },
        },
        direct: { interval: 2_000, concurrency: 64 },
        metricsProvider: 'prometheus',
        meshNamespaces,
      },
      {
        name: 'us',
        kubeconfigFile: null,
        context: null,
        inCluster: true,
        prometheus: {
          url: 'https://prom.us',
          scrapeInterval: 15_000,
          timeout: 5_000,
          auth: { kind: 'basic', username: 'ana', password: 'us-secret' },
        },
        direct: { interval: 1_000, concurrency: 64 },
        metricsProvider: 'direct',
        meshNamespaces,
      },
      {
        name: 'small',
        kubeconfigFile: null,
        context: null,
        inCluster: true,
        prometheus: null,
        direct: { interval: 1_000, concurrency: 64 },
        metricsProvider: 'direct',
        meshNamespaces,
      },
    ]);
    expect(found.secrets).toEqual(expect.arrayContaining(['eu-secret', 'us-secret']));
  });

  it('each have a Kiali and a Jaeger of their own, or none', async () => {
    const env = await clusters(
      `clusters:
         eu:
           inCluster: true
           metricsProvider: direct
           kiali: { url: "https://kiali.eu/kiali", objectPath: legacy, validations: true, tokenFrom: EU_KIALI }
           jaeger: { url: "https://jaeger.eu", publicUrl: "https://traces.example.com", auth: { kind: bearer, tokenFrom: EU_JAEGER } }
         us: { inCluster: true, metricsProvider: direct, jaeger: { url: "https://jaeger.us", api: v1 } }`,
      { EU_KIALI: 'kiali-eu-secret', EU_JAEGER: 'jaeger-eu-secret' },
    );
    const found = config(env);
    expect(found.clusters.map(({ kiali, jaeger }) => ({ kiali, jaeger }))).toEqual([
      {
        kiali: { url: 'https://kiali.eu/kiali', objectPath: 'legacy', validations: true, token: 'kiali-eu-secret' },
        jaeger: {
          url: 'https://jaeger.eu',
          publicUrl: 'https://traces.example.com',
          api: 'auto',
          auth: { kind: 'bearer', token: 'jaeger-eu-secret' },
        },
      },
      { kiali: undefined, jaeger: { url: 'https://jaeger.us', api: 'v1', auth: null } },
    ]);
    expect(found.secrets).toEqual(expect.arrayContaining(['kiali-eu-secret', 'jaeger-eu-secret']));
  });

  it('each have a dashboard of Grafana of their own, or none', async () => {
    const env = await clusters(
      `clusters:
         eu:
           inCluster: true
           metricsProvider: direct
           grafana: { url: "https://grafana.eu/d/abc?orgId=2", variables: { canary: workload } }
         us: { inCluster: true, metricsProvider: direct, grafana: { url: "https://grafana.us/d/abc" } }
         asia: { inCluster: true, metricsProvider: direct }`,
    );
    expect(config(env).clusters.map(({ grafana }) => grafana)).toEqual([
      { url: 'https://grafana.eu/d/abc?orgId=2', variables: { canary: 'workload' } },
      { url: 'https://grafana.us/d/abc', variables: { namespace: 'namespace', service: 'service', canary: 'canary' } },
      undefined,
    ]);
  });

  it.each([
    ['not YAML', 'clusters: [', /: cannot read .*clusters\.yaml: /],
    ['empty', '', /clusters\.yaml: \/: /],
    [
      'with a remote that belongs to no primary',
      'clusters: { a: { inCluster: true, role: remote, meshID: shop, prometheus: { url: "http://p" } } }',
      /\/clusters\/a: a remote wants the meshID of a primary .*found "shop"/,
    ],
    [
      'with a remote of no mesh',
      'clusters: { a: { inCluster: true, role: remote, prometheus: { url: "http://p" } } }',
      /\/clusters\/a: a remote wants the meshID .*found none/,
    ],
    [
      'with a role that nobody knows',
      'clusters: { a: { inCluster: true, role: leaf, prometheus: { url: "http://p" } } }',
      /\/clusters\/a\/role: /,
    ],
    ['without a cluster', 'clusters: {}', /\/clusters: wanted at least one cluster/],
    [
      'with an unknown field',
      'clusters: { a: { inCluster: true, prometheus: { url: "http://p", querys: 1 } } }',
      /\/clusters\/a\/prometheus: .*querys/,
    ],
    [
      'with a duration without a unit',
      'clusters: { a: { inCluster: true, prometheus: { url: "http://p", timeout: "5" } } }',
      /\/clusters\/a\/prometheus\/timeout: wanted a duration with a unit; found "5"/,
    ],
    [
      'with direct readings too far apart',
      'clusters: { a: { inCluster: true, prometheus: { url: "http://p" }, direct: { interval: 1m } } }',
      /\/clusters\/a\/direct\/interval: wanted a duration from 0.25 to 10 s; found "1m"/,
    ],
    [
      'with a cluster that nobody measures',
      'clusters: { a: { inCluster: true } }',
      /\/clusters\/a: wanted prometheus with its url \(metricsProvider: direct does without\); found none/,
    ],
    [
      'with a cluster that cannot be reached',
      'clusters: { a: { prometheus: { url: "http://p" } } }',
      /\/clusters\/a: wanted one of kubeconfig, inCluster: true and remoteSecret; found 0/,
    ],
    [
      'with a remote secret in a cluster that is none',
      'clusters: { a: { remoteSecret: { in: b }, prometheus: { url: "http://p" } } }',
      /\/clusters\/a\/remoteSecret\/in: wanted a cluster of this file that has a kubeconfig or inCluster: true.*found "b"/,
    ],
    [
      'with a remote secret in itself',
      'clusters: { a: { remoteSecret: { in: a }, prometheus: { url: "http://p" } } }',
      /\/clusters\/a\/remoteSecret\/in: wanted a cluster .*found "a"/,
    ],
    [
      'with two ways to a cluster',
      'clusters: { b: { inCluster: true, prometheus: { url: "http://p" } }, a: { inCluster: true, remoteSecret: { in: b }, prometheus: { url: "http://p" } } }',
      /\/clusters\/a: wanted one of kubeconfig, inCluster: true and remoteSecret; found 2/,
    ],
    [
      'with a kubeconfig that is absent',
      'clusters: { a: { kubeconfig: /nowhere/k, prometheus: { url: "http://p" } } }',
      /\/clusters\/a\/kubeconfig: no file at \/nowhere\/k/,
    ],
    [
      'with a variable that is not set',
      'clusters: { a: { inCluster: true, prometheus: { url: "http://p", auth: { kind: bearer, tokenFrom: NOT_SET } } } }',
      /\/clusters\/a names the variable NOT_SET, which is not set/,
    ],
  ])('in a file that is %s are a problem', async (_, text, message) => {
    const found = problems(await clusters(text));
    expect(found).toEqual([expect.stringMatching(/^SLUICE_CLUSTERS_FILE: /)]);
    expect(found[0]).toMatch(message);
  });

  it('and one besides are a contradiction', async () => {
    const env = await clusters(`clusters: { a: { inCluster: true, prometheus: { url: "http://p" } } }`);
    expect(problems({ ...env, PROMETHEUS_URL: 'http://other' })).toEqual([
      'PROMETHEUS_URL: has no effect beside SLUICE_CLUSTERS_FILE; remove one',
    ]);
  });
});

describe('the list of secrets', () => {
  it('holds every one, as it is written and as it is sent', () => {
    const { secrets } = config(
      least({
        DATABASE_URL: 'postgres://sluice:p%40ssw%C3%B6rd@db/x',
        REDIS_URL: 'redis://:redis-secret@cache',
        PROMETHEUS_USERNAME: 'ana',
        PROMETHEUS_PASSWORD: 'prom-secret',
        SLACK_SIGNING_SECRET: 'sign-1,sign-2',
        SLACK_BOT_TOKEN: 'xoxb-1',
        SLACK_APP_TOKEN: 'xapp-2',
        SLACK_CHANNEL: 'C1',
      }),
    );
    expect(secrets.toSorted()).toEqual(
      [
        'p%40ssw%C3%B6rd',
        'p@sswörd',
        'redis-secret',
        'prom-secret',
        Buffer.from('ana:prom-secret').toString('base64'),
        'sign-1',
        'sign-2',
        'xoxb-1',
        'xapp-2',
      ].toSorted(),
    );
  });

  it('is read from a password with a stray % too', () => {
    expect(config(least({ DATABASE_URL: 'postgres://sluice:half%of-it@db/x' })).secrets).toEqual(['half%of-it']);
  });
});

describe('traces of our own', () => {
  const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

  it('are made where there is a collector, by the names and defaults of OpenTelemetry', () => {
    expect(config(least()).tracing).toBeNull();
    expect(config(least(ENDPOINT)).tracing).toEqual({
      endpoint: 'http://collector:4318',
      headers: {},
      resource: { 'service.name': 'sluice' },
      sampler: { name: 'parentbased_always_on', ratio: 1 },
      propagators: ['tracecontext'],
    });
  });

  it('are as they are described, and what the collector is told is a secret', () => {
    const found = config(
      least({
        ...ENDPOINT,
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20otlp-secret, x-tenant=a%2Cb==',
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
        OTEL_SERVICE_NAME: 'delivery',
        OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment.name=prod',
        OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
        OTEL_TRACES_SAMPLER_ARG: '0.25',
        OTEL_PROPAGATORS: 'tracecontext,baggage,b3',
      }),
    );
    expect(found.tracing).toEqual({
      endpoint: 'http://collector:4318',
      headers: { authorization: 'Bearer otlp-secret', 'x-tenant': 'a,b==' },
      resource: { 'service.name': 'delivery', 'deployment.environment.name': 'prod' },
      sampler: { name: 'parentbased_traceidratio', ratio: 0.25 },
      propagators: ['tracecontext', 'b3'],
    });
    expect(found.secrets).toEqual(expect.arrayContaining(['Bearer otlp-secret', 'otlp-secret', 'a,b==']));
  });

  it.each([
    ['the standard switch', { ...ENDPOINT, OTEL_SDK_DISABLED: 'true' }],
    ['no collector, whatever an operator sets besides', { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_PROPAGATORS: 'x' }],
  ])('are not made with %s', (_, env) => {
    expect(config(least(env)).tracing).toBeNull();
  });

  it('pass nothing on where that is said', () => {
    expect(config(least({ ...ENDPOINT, OTEL_PROPAGATORS: 'none' })).tracing?.propagators).toEqual([]);
  });

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://ana:hidden-1@collector'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'hidden-1'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization=hidden-1%'],
    ['OTEL_RESOURCE_ATTRIBUTES', '=prod'],
    ['OTEL_TRACES_SAMPLER', 'sometimes'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
    ['OTEL_PROPAGATORS', 'tracecontext,jaeger'],
    ['OTEL_PROPAGATORS', 'none,b3'],
  ])('are refused with %s=%s', (name, value) => {
    const sampler = name === 'OTEL_TRACES_SAMPLER_ARG' ? { OTEL_TRACES_SAMPLER: 'traceidratio' } : {};
    const found = problems(least({ ...ENDPOINT, ...sampler, [name]: value }));
    expect(found).toEqual([expect.stringMatching(new RegExp(`^${name}: wanted `))]);
    expect(found.join()).not.toContain('hidden');
  });

  it('are not sampled by a ratio that the sampler does not look at', () => {
    const found = problems(least({ ...ENDPOINT, OTEL_TRACES_SAMPLER_ARG: '0.5' }));
    expect(found).toEqual([expect.stringMatching(/^OTEL_TRACES_SAMPLER_ARG: has no effect with .*always_on; wanted/)]);
  });
});

describe('what is demanded of the meshes', () => {
  it('is nothing unless it is said', () => {
    expect(config(least()).preflight).toEqual({ severity: {}, minVersion: {}, sidecarResources: null });
    expect(config(least()).clusters[0]?.meshNamespaces).toEqual({ istio: 'istio-system', linkerd: 'linkerd' });
  });

  it('is read from pairs', () => {
    const found = config(
      least({
        SLUICE_PREFLIGHT_SEVERITY: 'mesh.version=fail, gitops.owner=ignore',
        SLUICE_MESH_MIN_VERSION: 'istio=1.22,linkerd=stable-2.14.1',
        SLUICE_SIDECAR_RESOURCES: 'requests.cpu=100m,limits.memory=256Mi',
        SLUICE_MESH_NAMESPACES: 'istio=mesh',
      }),
    );
    expect(found.preflight).toEqual({
      severity: { 'mesh.version': 'fail', 'gitops.owner': 'ignore' },
      minVersion: { istio: '1.22', linkerd: 'stable-2.14.1' },
      sidecarResources: { 'requests.cpu': '100m', 'limits.memory': '256Mi' },
    });
    expect(found.clusters[0]?.meshNamespaces).toEqual({ istio: 'mesh', linkerd: 'linkerd' });
  });

  it.each([
    ['SLUICE_PREFLIGHT_SEVERITY', 'mesh.version', 'fail, warn, ignore'],
    ['SLUICE_PREFLIGHT_SEVERITY', 'mesh.version=error', 'fail, warn, ignore'],
    ['SLUICE_PREFLIGHT_SEVERITY', 'mesh.version=fail,mesh.version=warn', 'fail, warn, ignore'],
    ['SLUICE_MESH_MIN_VERSION', 'consul=1.2', 'names of istio, linkerd'],
    ['SLUICE_MESH_MIN_VERSION', 'istio=new', 'versions like 1.22'],
    ['SLUICE_SIDECAR_RESOURCES', 'limits.disk=1Gi', 'requests.cpu'],
    ['SLUICE_SIDECAR_RESOURCES', 'limits.cpu=much', 'quantities like 100m'],
    ['SLUICE_MESH_NAMESPACES', 'istio=Not A Name', 'names of namespaces'],
  ])('%s=%s is refused with what was wanted', (name, value, wanted) => {
    expect(problems(least({ [name]: value }))).toEqual([
      expect.stringMatching(new RegExp(`^${name}: wanted pairs like name=value.*${wanted}.*found "`)),
    ]);
  });
});

describe('the trust policy', () => {
  const trusted = async (text: string, more: Env = {}): Promise<Env> =>
    least({ SLUICE_TRUST_FILE: await file('trust.yaml', text), ...more });
  const LOGIN =
    'login: { issuer: "https://idp.example.com", clientId: sluice, roles: [{ group: sre, role: approver }] }';

  it('is none unless a file is named', () => {
    expect(config(least())).toMatchObject({ trust: null, oidcClientSecret: null });
  });

  it('comes from its file, and the secret of the client is one', async () => {
    const found = config(
      await trusted(LOGIN, {
        SLUICE_PUBLIC_URL: 'https://sluice.example.com',
        SLUICE_OIDC_CLIENT_SECRET: 'very-secret',
      }),
    );
    expect(found.trust).toMatchObject({ login: { issuer: 'https://idp.example.com' }, ci: null });
    expect(found.secrets).toContain('very-secret');
  });

  it('is checked at the start, every problem with its place', async () => {
    const env = await trusted('ci: { audience: sluice, rules: [{ name: a, issuer: github, match: { sub: x } }] }');
    const at = `SLUICE_TRUST_FILE: ${env['SLUICE_TRUST_FILE']}: /ci/rules/0/match`;
    expect(problems(env)).toEqual([
      `${at}/sub: wanted one of the claims repository_id, repository_owner_id, ref, environment, job_workflow_ref, ref_type, ref_protected, event_name; found "sub"`,
      `${at}: wanted an id (repository_id or repository_owner_id): names can be given to somebody else; found none`,
      `${at}: wanted ref, environment, job_workflow_ref, or several: without it every branch fits; found none`,
    ]);
  });

  it('needs the public address where people sign in', async () => {
    expect(problems(await trusted(LOGIN)).join()).toMatch(/^SLUICE_PUBLIC_URL: wanted, because \/login in /);
  });

  it('that cannot be read is told', () => {
    expect(problems(least({ SLUICE_TRUST_FILE: '/nowhere/trust.yaml' })).join()).toContain('cannot read /nowhere');
    expect(problems(least({ SLUICE_OIDC_CLIENT_SECRET: 'x' })).join()).toContain('no effect without SLUICE_TRUST_FILE');
  });
});

describe('channels and webhooks', () => {
  const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const OTHER = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
  const channels = async (text: string, more: Env = {}) =>
    least({ SLUICE_CHANNELS_FILE: await file('channels.yaml', text), ...more });

  it('are none without settings', () => {
    expect(config(least())).toMatchObject({
      channels: [],
      webhooks: { secrets: [], allowed: { ranges: [], suffixes: [] } },
    });
  });

  it('take secrets from the variables that are named, or from the files that those name, and keep them out of the log', async () => {
    const env = await channels(
      `channels:
  ops: { kind: webhook, urlFrom: OPS_URL, secretsFrom: [OPS_SECRET, OPS_OLD] }
  oncall: { kind: pagerduty, routingKeyFrom: SLUICE_PAGER_KEY, default: false }
`,
      {
        OPS_URL: 'https://hooks.example.com/T123/secret-path',
        OPS_SECRET: SECRET,
        OPS_OLD_FILE: await file('old', `${OTHER}\n`),
        SLUICE_PAGER_KEY: 'R0UTINGKEY0123456789',
      },
    );
    const { channels: read, secrets } = config(env);
    expect(read).toEqual([
      {
        name: 'ops',
        kind: 'webhook',
        usual: true,
        settings: { url: 'https://hooks.example.com/T123/secret-path', secrets: [SECRET, OTHER] },
      },
      { name: 'oncall', kind: 'pagerduty', usual: false, settings: { routingKey: 'R0UTINGKEY0123456789' } },
    ]);
    for (const secret of ['https://hooks.example.com/T123/secret-path', SECRET, OTHER, 'R0UTINGKEY0123456789'])
      expect(secrets).toContain(secret);
  });

  it.each([
    [
      'channels:\n  ops: { kind: webhook, urlFrom: NOT_SET }',
      /\/channels\/ops names the variable NOT_SET, which is not set/,
    ],
    ['channels:\n  slack: { kind: webhook }', /this name is taken/],
    ['channels:\n  Ops: { kind: webhook }', /wanted a name/],
    ['channels:\n  ops: {}', /kind/],
    ['chanels: {}', /chanels/],
    ['{', /cannot be read/],
  ])('%j is a problem', async (text, words) => {
    expect((await channels(text).then(problems)).join('\n')).toMatch(words);
  });

  it('sign with several secrets, and reach what is allowed', () => {
    const env = least({ SLUICE_WEBHOOK_SECRETS: `${SECRET}, ${OTHER}`, SLUICE_WEBHOOK_ALLOW: '10.0.0.0/8,.web.svc' });
    expect(config(env)).toMatchObject({
      webhooks: { secrets: [SECRET, OTHER], allowed: { ranges: ['10.0.0.0/8'], suffixes: ['.web.svc'] } },
    });
    expect(config(env).secrets).toEqual(expect.arrayContaining([SECRET, OTHER]));
    const wrong = problems(least({ SLUICE_WEBHOOK_SECRETS: 'hunter2', SLUICE_WEBHOOK_ALLOW: '10.0.0.1' })).join();
    expect(wrong).toMatch(/SLUICE_WEBHOOK_SECRETS: wanted whsec_/);
    expect(wrong).toMatch(/SLUICE_WEBHOOK_ALLOW: wanted ranges .* found "10.0.0.1"/);
    expect(wrong).not.toContain('hunter2');
  });
});
