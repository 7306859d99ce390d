import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import packageJson from '../../package.json' with { type: 'json' };
import { loadMeshes } from '../../src/adapters/registry.ts';
import { readTrust } from '../../src/app/trust/schema.ts';
import { VARIABLES } from '../../src/config.ts';
import { chartFile, chartYaml, EXAMPLES, leaves, templates } from '../support/chart.ts';

type Schema = Readonly<Record<string, unknown>> & {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
};
const schema = JSON.parse(chartFile('values.schema.json')) as Schema;
const values = chartYaml('values.yaml') as Record<string, unknown>;
const accepts = (given: unknown): boolean =>
  z.fromJSONSchema(schema as z.core.JSONSchema.JSONSchema).safeParse(given).success;

/** What Helm does: the user's values over the defaults, maps merged, lists replaced. */
function over(base: unknown, given: unknown): unknown {
  if (!isMap(base) || !isMap(given)) return given;
  return {
    ...base,
    ...Object.fromEntries(
      Object.entries(given).map(([key, part]) => [key, key in base ? over(base[key], part) : part]),
    ),
  };
}
const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Kubernetes' own shapes, which are not repeated here. */
const FREE =
  /(affinity|nodeSelector|podAnnotations|podLabels|annotations|labels|global|requests|limits|valueFrom)$|^(api|worker)\.tolerations|^extra|ingressFrom|egressTo/;

describe('values.schema.json', () => {
  it('accepts the defaults and every example', () => {
    expect(accepts(values)).toBe(true);
    expect(EXAMPLES).toEqual(expect.arrayContaining(['minimal', 'full', 'clusters']));
    for (const example of EXAMPLES)
      expect([example, accepts(over(values, chartYaml(`ci/${example}-values.yaml`)))]).toEqual([example, true]);
  });

  it('knows every value by name, and no others', () => {
    const open: string[] = [];
    const walk = (part: Schema, path: string): void => {
      if (part['type'] === 'object' && part['additionalProperties'] !== false && !FREE.test(path)) open.push(path);
      for (const [name, child] of Object.entries(part.properties ?? {}))
        walk(child, path === '' ? name : `${path}.${name}`);
      for (const child of Object.values(part.patternProperties ?? {})) walk(child, `${path}.*`);
      if (part.items !== undefined && !FREE.test(path)) walk(part.items, `${path}[]`);
    };
    walk(schema, '');
    expect(open).toEqual([]);
    const known = (path: string): boolean => {
      let at: Schema | undefined = schema;
      for (const name of path.split('.')) at = at?.properties?.[name];
      return at !== undefined;
    };
    expect(leaves(values).filter((path) => !known(path) && !FREE.test(path.replace(/\.[^.]+$/, '')))).toEqual([]);
  });

  it.each([
    ['a misspelt name', { replicas: 3 }],
    ['a misspelt name further down', { api: { replica: 3 } }],
    ['a mesh that is not known', { meshes: ['consul'] }],
    ['no mesh', { meshes: [] }],
    ['a mesh twice', { meshes: ['istio', 'istio'] }],
    ['another queue', { queue: { backend: 'kafka' } }],
    ['no replica', { worker: { replicas: 0 } }],
    ['replicas as text', { worker: { replicas: '2' } }],
    ['a password in an address', { prometheus: { url: 'http://me:secret@prometheus:9090' } }],
    [
      'a password in the address of a further cluster',
      { clusters: { west: { inCluster: true, prometheus: { url: 'http://me:secret@p' } } } },
    ],
    [
      'a secret of a further cluster in the open',
      { clusters: { west: { prometheus: { url: 'http://p', auth: { kind: 'bearer', token: 'x' } } } } },
    ],
    ['the name of a channel', { slack: { channel: '#deploys' } }],
    ['a tag where a digest is wanted', { image: { digest: 'latest' } }],
    ['a duration without a unit', { prometheus: { scrapeInterval: '15' } }],
    ['a namespace that cannot be one', { rbac: { namespaces: ['*'] } }],
    ['a port that is none', { networkPolicy: { egressPorts: [0] } }],
    ['a log level that is not known', { logLevel: 'trace' }],
    ['"no" as text', { rbac: { clusterWide: 'no' } }],
  ])('refuses %s', (_, given) => {
    expect(accepts(over(values, given))).toBe(false);
  });

  it('knows the meshes that are there', async () => {
    const kinds = [...(await loadMeshes()).keys()].toSorted();
    const item = schema.properties?.['meshes']?.items;
    expect(item?.['enum']).toEqual(kinds);
    expect([...(values['meshes'] as string[])].toSorted()).toEqual(kinds);
  });
});

describe('the trust policy of the examples', () => {
  it('is one that the service reads, and each part of one that the chart refuses it refuses too', () => {
    const { trust } = chartYaml('ci/full-values.yaml') as { trust: Record<string, unknown> };
    const read = readTrust(trust);
    expect(read.ok ? [] : read.problems).toEqual([]);
    for (const wrong of [
      { login: { ...(trust['login'] as object), clientSecret: 'x' } },
      { login: { ...(trust['login'] as object), issuer: 'http://idp.example.com' } },
      { ci: { ...(trust['ci'] as object), roles: ['root'] } },
    ]) {
      expect(accepts(over(values, { trust: wrong }))).toBe(false);
      expect(readTrust(wrong).ok).toBe(false);
    }
  });
});

describe('templates', () => {
  const text = templates.map(([, template]) => template.replaceAll(/^\s*#.*$/gm, '')).join('\n');

  it('use every value, and only values that are there', () => {
    const used = new Set(
      [...text.matchAll(/\.Values\.([A-Za-z.]+)/g)].map(([, path]) => (path ?? '').replace(/\.$/, '')),
    );
    const paths = leaves(values);
    const there = (path: string): boolean => paths.some((leaf) => leaf === path || leaf.startsWith(`${path}.`));
    // `.Values.api` by itself is handed on as a whole.
    expect([...used].filter((path) => !there(path))).toEqual([]);
    const reached = (leaf: string): boolean => [...used].some((path) => leaf === path || leaf.startsWith(`${path}.`));
    expect(paths.filter((leaf) => !reached(leaf))).toEqual([]);
  });

  it('set only settings that the service reads', () => {
    const known = new Set(Object.keys(VARIABLES).map((name) => name.replace('*', '')));
    const set = new Set(text.match(/\b(DATABASE|REDIS|PROMETHEUS|SLACK|SLUICE|OTEL)_[A-Z_]+\b/g) ?? []);
    expect(set.size).toBeGreaterThan(10);
    expect([...set].filter((name) => !known.has(name))).toEqual([]);
  });

  it('close what they open', () => {
    for (const [name, template] of templates) {
      const actions = [...template.matchAll(/\{\{-?\s*(if|range|with|define|end)\b/g)].map(([, word]) => word);
      expect([name, actions.filter((word) => word === 'end').length]).toEqual([
        name,
        actions.filter((word) => word !== 'end').length,
      ]);
    }
  });

  it('make no Secret, and take none from values', () => {
    expect(text).not.toMatch(/^kind: Secret$/m);
    const secretive = leaves(values).filter((path) => /password|token|secret|key/i.test(path));
    expect(secretive.toSorted()).toEqual([
      'existingSecret',
      'imagePullSecrets',
      'ingress.tlsSecret',
      'metrics.serviceMonitor.tokenSecret.key',
      'metrics.serviceMonitor.tokenSecret.name',
    ]);
    expect(values['existingSecret']).toBe('');
  });

  it('keep every pod to the "restricted" profile and out of reach of service links', () => {
    const pods = templates.filter(([, template]) => /^\s*containers:$/m.test(template));
    expect(pods.map(([name]) => name).toSorted()).toEqual(['_helpers.tpl', 'migrate-job.yaml']);
    for (const [, template] of pods) {
      expect(template).toContain('enableServiceLinks: false');
      expect(template).toContain('include "sluice.podSecurity"');
      expect(template).toContain('include "sluice.containerSecurity"');
      expect(template).toMatch(/resources:\n\s+\{\{- toYaml/);
    }
    for (const part of [
      'runAsNonRoot: true',
      'seccompProfile',
      'RuntimeDefault',
      'readOnlyRootFilesystem: true',
      'allowPrivilegeEscalation: false',
      'drop: [ALL]',
    ])
      expect(chartFile('templates/_helpers.tpl')).toContain(part);
    expect(text).not.toMatch(/privileged: true|hostNetwork|hostPath|hostPID/);
  });

  it('never hang liveness on what the service depends on', () => {
    const probes = [...text.matchAll(/(liveness|startup)Probe:\n\s+httpGet: \{ path: (\S+),/g)];
    expect(probes.map(([, kind, path]) => [kind, path])).toEqual([
      ['startup', '/healthz'],
      ['liveness', '/healthz'],
    ]);
  });

  it('run the migrations before anything else, with nothing that the release makes', () => {
    const job = templates.find(([name]) => name === 'migrate-job.yaml')?.[1] ?? '';
    expect(job).toContain('helm.sh/hook: pre-install,pre-upgrade');
    expect(job).not.toMatch(/configMap|serviceAccountName|checksum/);
  });
});

describe('Chart.yaml', () => {
  it('names the version of the program', () => {
    const chart = parse(chartFile('Chart.yaml')) as Record<string, unknown>;
    expect(chart['appVersion']).toBe(packageJson.version);
    expect(chart).toMatchObject({ apiVersion: 'v2', name: 'sluice', type: 'application' });
  });
});
