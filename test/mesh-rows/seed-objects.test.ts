/**
 * Every object of the document that the project started from: taken by an API server as written, and what becomes of it.
 * A fixture that is in no row below fails, so none can be forgotten.
 */
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import identity from '../../src/adapters/inspect/checks/multicluster-identity.ts';
import { SIDECAR_RESOURCES } from '../../src/adapters/inspect/policy.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { Finding } from '../../src/app/usecases.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { ALL_KINDS, type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { startSmiAdaptor } from '../../src/sandbox/smi-adaptor.ts';
import { istioTarget, type Loose, smiTarget } from '../support/mesh-objects.ts';
import { success } from '../support/prometheus-fake.ts';
import { seedCluster } from '../support/seed-cluster.ts';
import { caller, object, run, seed, statuses, surroundings } from '../support/surroundings.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

interface Said {
  readonly check: string;
  readonly level: Finding['level'];
  /** Names the object and the field. */
  readonly says: RegExp;
  readonly remedy?: RegExp;
}
interface Row {
  readonly proxies: 'istio' | 'linkerd';
  /** What the preflight makes of it, with all the others of its mesh around it. */
  readonly said: readonly Said[];
}

const ROWS: Readonly<Record<string, Row>> = {
  'virtual-service': {
    proxies: 'istio',
    said: [
      {
        check: 'route',
        level: 'pass',
        says: /VirtualService production\/myapp: the canary has 10 % now and can be moved/,
      },
      {
        check: 'virtualservice.rules',
        level: 'warn',
        says: /production\/myapp move rule 1 \(uri prefix \/api\); rule 2 \(every request\) in spec\.http stays/,
        remedy: /add the canary to spec\.http\[2\]/,
      },
      {
        check: 'timeouts',
        level: 'warn',
        says: /rule 1 .*spec\.http\[1\]\.timeout/,
        remedy: /Set spec\.http\[1\]\.timeout/,
      },
      { check: 'timeouts', level: 'pass', says: /spec\.http\[2\]\.timeout 30 s, above .*; 3 attempts of 10 s fit in/ },
      {
        check: 'retry-budget',
        level: 'pass',
        says: /spec\.http\[2\]\.retries\.attempts\) on connect-failure,refused-stream,503/,
      },
    ],
  },
  'virtual-service-mirror': {
    proxies: 'istio',
    said: [
      {
        check: 'virtualservice.conflict',
        level: 'fail',
        says: /production\/myapp-mirror claims the host .* in spec\.hosts .*ignores its rules/,
        remedy: /kubectl delete virtualservice myapp-mirror -n production/,
      },
    ],
  },
  'virtual-service-fault': {
    proxies: 'istio',
    said: [
      {
        check: 'virtualservice.conflict',
        level: 'fail',
        says: /production\/myapp-fault claims the host .* in spec\.hosts .*ignores its rules/,
        remedy: /kubectl delete virtualservice myapp-fault -n production/,
      },
    ],
  },
  'destination-rule': {
    proxies: 'istio',
    said: [
      { check: 'subsets', level: 'pass', says: /subset v1 .* selects 2 pods of Deployment myapp-v1, 2 of them ready/ },
      { check: 'subsets', level: 'pass', says: /subset v2 .* selects 2 pods of Deployment myapp-v2, 2 of them ready/ },
      {
        check: 'circuit-breaker',
        level: 'pass',
        says: /subset v2 .*production\/myapp spec\.trafficPolicy\.outlierDetection/,
      },
      {
        check: 'retry-budget',
        level: 'warn',
        says: /no retryBudget in spec\.trafficPolicy of DestinationRule production\/myapp/,
        remedy: /retryBudget: \{ percent: 20/,
      },
    ],
  },
  'destination-rule-circuit-breaker': {
    proxies: 'istio',
    said: [
      {
        check: 'destination-rule.host',
        level: 'fail',
        says: /2 DestinationRules set spec\.trafficPolicy .*ignores that of production\/myapp-circuit-breaker/,
        remedy: /kubectl delete destinationrule myapp-circuit-breaker -n production/,
      },
      {
        check: 'circuit-breaker',
        level: 'fail',
        says: /DestinationRule production\/myapp-circuit-breaker \(spec\.trafficPolicy\) .* is not in force/,
        remedy: /Move outlierDetection and connectionPool into spec\.trafficPolicy of production\/myapp/,
      },
      {
        check: 'circuit-breaker',
        level: 'warn',
        says: /production\/myapp-circuit-breaker has spec\.trafficPolicy\.outlierDetection\.maxEjectionPercent 100 .*minHealthPercent 0/,
        remedy: /maxEjectionPercent: 50/,
      },
    ],
  },
  gateway: {
    proxies: 'istio',
    said: [
      {
        check: 'gateway.binding',
        level: 'pass',
        says: /Gateway production\/myapp-gateway serves myapp\.example\.com.*port 80 .*tls\.httpsRedirect/,
      },
      {
        check: 'gateway.certificate',
        level: 'pass',
        says: /Secret istio-system\/myapp-tls-secret of Gateway production\/myapp-gateway/,
      },
    ],
  },
  'peer-authentication': {
    proxies: 'istio',
    said: [
      {
        check: 'mtls.mode',
        level: 'pass',
        says: /canary workload production\/myapp-v2 has mTLS mode STRICT \(PeerAuthentication production\/default, for the whole namespace, spec\.mtls\.mode\)/,
      },
      { check: 'mtls.mode', level: 'pass', says: /stable workload production\/myapp-v1 has mTLS mode STRICT/ },
    ],
  },
  'authorization-policy': {
    proxies: 'istio',
    said: [
      { check: 'authz.present', level: 'pass', says: /production\/myapp-authz/ },
      { check: 'authz.canary', level: 'pass', says: /sa\/frontend.*sa\/api-gateway/ },
      {
        check: 'authz.canary',
        level: 'fail',
        says: /sa\/batch.*AuthorizationPolicy production\/myapp-authz .*spec\.rules/,
        remedy: /principals: \["cluster\.local\/ns\/production\/sa\/batch"\]/,
      },
    ],
  },
  'service-profile': {
    proxies: 'linkerd',
    said: [
      {
        check: 'serviceprofile.budget',
        level: 'warn',
        says: /route "POST \/api\/orders" of ServiceProfile production\/myapp\.production\.svc\.cluster\.local is retryable/,
        remedy: /Take isRetryable from route "POST \/api\/orders"/,
      },
    ],
  },
  'traffic-split': {
    proxies: 'linkerd',
    said: [
      {
        check: 'route',
        level: 'pass',
        says: /TrafficSplit production\/myapp-canary: the canary has 10 % now and can be moved/,
      },
      { check: 'route.rivals', level: 'pass', says: /TrafficSplit production\/myapp-canary/ },
    ],
  },
};

/** No object of a cluster: the installer reads it. What becomes of it is below. */
const OPERATOR = 'istio-operator';
const SECTIONS = Object.keys(ROWS);
const sectionsOf = (proxies: Row['proxies']) => SECTIONS.filter((name) => ROWS[name]?.proxies === proxies);

it('no object of the document is forgotten', async () => {
  const files = await readdir(new URL('../fixtures/seed/', import.meta.url));
  expect(files.toSorted()).toEqual([...SECTIONS, OPERATOR].map((name) => `${name}.yaml`).toSorted());
});

describe('an API server', () => {
  let api: KubeApi;
  beforeAll(async () => {
    api = await startKubeApi();
    for (const name of ['production', 'istio-system'])
      api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  });
  afterAll(() => api?.stop());

  it.each(SECTIONS)('takes the objects of %s as they are written, and gives them back so', async (section) => {
    const objects = await seed(section);
    expect(objects.length).toBeGreaterThan(0);
    for (const written of objects) {
      const [group = ''] = written.apiVersion.split('/');
      const kind = ALL_KINDS.find((one) => one.group === group && one.kind === written.kind);
      if (kind === undefined) throw new Error(`${written.kind} of ${group} is not served`);
      const at = { apiVersion: written.apiVersion, plural: kind.plural };
      const client = openApi(api.url, written.metadata.namespace ?? '', 'kubectl');
      await client.create(at, written);
      const { apiVersion, kind: is, metadata, spec } = await client.get(at, written.metadata.name);
      expect({ apiVersion, kind: is, spec }).toEqual({
        apiVersion: written.apiVersion,
        kind: written.kind,
        spec: written.spec,
      });
      expect(metadata).toMatchObject(written.metadata);
    }
  });
});

/** Who called the stable version in the last hour: two whom the document's policy names, and one whom it does not. */
const CALLERS = ['frontend', 'api-gateway', 'batch'].map((account) => caller(account));

describe.each([
  ['istio', istioTarget()],
  ['linkerd', smiTarget()],
] as const)('the preflight of a cluster of %s with all of them', (proxies, target) => {
  let whole: Whole;
  let findings: readonly Finding[];
  beforeAll(async () => {
    whole = await wholeService({ objects: await seedCluster(proxies, sectionsOf(proxies)), works: false });
    whole.prometheus.answer((asked, response) => {
      const callers = CALLERS.map(({ labels, value }) => [labels, String(value)] as const);
      return success(asked.query.includes('source_principal') ? callers : [[{}, '1']])(asked, response);
    });
    const { status, body } = await whole.call('post', '/rollouts?dryRun=true', planOf(target, [{ weight: 25 }]));
    if (status !== 200) throw new Error(JSON.stringify(body));
    findings = body.findings;
  }, 60_000);
  afterAll(() => whole?.close());

  it.each(sectionsOf(proxies))('says of %s what is right, what is wrong, and what to do', (section) => {
    for (const { check, level, says, remedy } of ROWS[section]?.said ?? []) {
      const found = findings.filter((one) => one.check === check && one.level === level && says.test(one.message));
      expect(found.length, `${check} ${level} ${says} in\n${findings.map(wordsOf).join('\n')}`).toBeGreaterThan(0);
      if (remedy !== undefined) expect(found[0]?.remediation).toMatch(remedy);
    }
  });

  it('finds nothing else that fails', () => {
    const failing = (all: readonly { readonly check: string; readonly level: string }[]) =>
      [...new Set(all.filter(({ level }) => level === 'fail').map(({ check }) => check))].toSorted();
    const foretold = sectionsOf(proxies).flatMap((section) => ROWS[section]?.said ?? []);
    expect(failing(findings)).toEqual(failing(foretold));
  });

  it('has written nothing', () => {
    expect(whole.writes()).toEqual([]);
  });
});

const wordsOf = ({ check, level, message }: Finding): string => `${level} ${check}: ${message}`;

it('the TrafficSplit is stepped in milli units, as it is written, and nothing else is written by us', {
  timeout: 60_000,
}, async () => {
  const whole = await wholeService({ objects: await seedCluster('linkerd', ['traffic-split', 'service-profile']) });
  const adaptor = startSmiAdaptor(openApi(whole.api.url, 'production', 'smi-adaptor'), 'production', 10);
  try {
    const specOf = (group: string, plural: string, name: string) => whole.stored(group, plural, name).spec as Loose;
    const profile = () => specOf('linkerd.io', 'serviceprofiles', 'myapp.production.svc.cluster.local');
    const backends = () => specOf('split.smi-spec.io', 'trafficsplits', 'myapp-canary')['backends'] as readonly Loose[];
    await adaptor.ready;
    const [before, documented] = [backends(), profile()];
    expect(before.map(({ weight }) => weight)).toEqual(['900m', '100m']);
    const id = await whole.started(planOf(smiTarget(), [{ weight: 25, hold: '10m' }]));
    await whole.until(id, ({ observedWeight }) => observedWeight === 25);
    expect(backends()).toEqual(before.map(({ service }, at) => ({ service, weight: ['750m', '250m'][at] })));
    await whole.call('post', `/rollouts/${id}/abort`, {});
    expect((await whole.ended(id)).phase).toMatchObject({ status: 'aborted' });
    expect(backends()).toEqual(before.map(({ service }, at) => ({ service, weight: ['1000m', '0m'][at] })));
    expect({ ...profile(), dstOverrides: null }).toEqual({ ...documented, dstOverrides: null });
    expect(new Set(whole.writes().map(({ after }) => after?.kind))).toEqual(new Set(['TrafficSplit']));
  } finally {
    await adaptor.stop();
    await whole.close();
  }
});

describe(`the IstioOperator, whose operator is gone from Istio`, () => {
  interface Operator {
    readonly kind: string;
    readonly spec: {
      readonly values: {
        readonly global: { meshID: string; network: string; multiCluster: { clusterName: string } };
      };
    };
  }
  let operator: Operator;
  let whole: Whole;
  beforeAll(async () => {
    operator = parse(await readFile(new URL(`../fixtures/seed/${OPERATOR}.yaml`, import.meta.url), 'utf8')) as Operator;
    whole = await wholeService({ objects: [], works: false });
  });
  afterAll(() => whole?.close());

  it('is the command line of the install plan, value by value', async () => {
    expect(operator.kind).toBe('IstioOperator');
    const { global } = operator.spec.values;
    const { meshID, network, multiCluster } = global;
    const asked = new URLSearchParams({
      mesh: 'istio',
      addons: 'multicluster',
      meshId: meshID,
      network,
      clusters: `${multiCluster.clusterName},other`,
    });
    const commands = async (query: string): Promise<readonly string[]> => {
      const { status, body } = await whole.call('get', `/install-plans?${query}`);
      expect(status).toBe(200);
      return (body.steps as { commands: string[] }[]).flatMap((step) => step.commands);
    };
    const [own = ''] = (await commands(asked.toString())).filter(
      (line) => line.startsWith('istioctl install') && line.includes(`--context=${multiCluster.clusterName} `),
    );
    const set = Object.fromEntries(
      [...own.matchAll(/--set values\.(\S+?)=(\S+)/g)].map(([, path = '', value = '']) => [path, value]),
    );
    expect(set).toEqual(leaves({ global }));
    // Whoever names no values is given those of the document.
    expect(await commands('mesh=istio&addons=multicluster')).toContain(own);
  });

  it('is what a cluster of the list must be installed with', async () => {
    const { global } = operator.spec.values;
    const injector = {
      ...object('v1', 'ConfigMap', 'istio-sidecar-injector', {}, 'istio-system'),
      data: { values: JSON.stringify({ global }) },
    } as KubeObject;
    const mesh = { ...object('v1', 'ConfigMap', 'istio', {}, 'istio-system'), data: { mesh: '{}' } } as KubeObject;
    const root = object('v1', 'Namespace', 'istio-system', {}, 'default');
    const listing = { role: 'primary' as const, peers: ['cluster2'] };
    const look = (meshID: string) =>
      run(identity, surroundings([injector, mesh, root], { listing: { ...listing, meshID, network: global.network } }));
    expect(statuses(await look(global.meshID))).toEqual(['pass']);
    const other = await look(`${global.meshID}-other`);
    expect(statuses(other)).toEqual(['fail']);
    expect(other[0]?.remediation).toContain('--set values.global.meshID=');
  });

  it('leaves the sidecars’ resources to the profile for production, whose values are what the check wants', async () => {
    const { body } = await whole.call('get', '/install-plans?mesh=istio&profile=production');
    expect(leaves(body.resources)).toEqual(SIDECAR_RESOURCES.istio);
  });
});

/** Values by their path: { a: { b: "c" } } is { "a.b": "c" }. */
function leaves(tree: object, path: readonly string[] = []): Readonly<Record<string, string>> {
  return Object.assign(
    {},
    ...Object.entries(tree).map(([name, value]) =>
      typeof value === 'object' ? leaves(value, [...path, name]) : { [[...path, name].join('.')]: String(value) },
    ),
  );
}
