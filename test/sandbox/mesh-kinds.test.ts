/** What the API server in process says to the kinds of the whole mesh: schemas, Istio's webhook, the scale of a Deployment. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeApi } from '../../src/sandbox/kube-api/index.ts';
import { ALL_KINDS, startKubeApi } from '../../src/sandbox/kube-api/index.ts';

const NAMESPACE = 'production';
const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
let api: KubeApi;
let names = 0;

beforeAll(async () => {
  api = await startKubeApi();
  api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
});
afterAll(() => api.stop());

async function send(method: string, path: string, body?: unknown, type = 'application/json') {
  const response = await fetch(api.url + path, {
    method,
    headers: { 'content-type': type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: JSON.parse(text), warning: response.headers.get('warning') };
}

const kindOf = (name: string, group: string) => {
  const found = ALL_KINDS.find((kind) => kind.kind === name && kind.group.startsWith(group));
  if (found === undefined) throw new Error(`no kind ${name} in ${group}`);
  return found;
};

async function create(kind: string, group: string, spec: unknown, version?: string) {
  const { plural, group: full, storage } = kindOf(kind, group);
  names += 1;
  const apiVersion = `${full === '' ? '' : `${full}/`}${version ?? storage}`;
  const root = full === '' ? `/api/${version ?? storage}` : `/apis/${apiVersion}`;
  const metadata = { name: `case-${names}`, namespace: NAMESPACE };
  return send('POST', `${root}/namespaces/${NAMESPACE}/${plural}`, { apiVersion, kind, metadata, spec });
}

const to = (subset: string, weight?: number) => ({
  destination: { host: 'myapp', subset },
  ...(weight === undefined ? {} : { weight }),
});
const rule = (more: object) => ({ hosts: ['myapp'], http: [{ route: [to('v1')], ...more }] });
const bare = (more: object) => ({ hosts: ['myapp'], http: [more] });
const match = (fields: object) => rule({ match: [fields] });

describe("Istio's webhook refuses", () => {
  it.each([
    ['both forms of a mirror', rule({ mirror: { host: 'a' }, mirrors: [{ destination: { host: 'a' } }] }), 'mirrors'],
    [
      'a mirror of more than all',
      rule({ mirror: { host: 'a' }, mirrorPercentage: { value: 101 } }),
      'max value of 100',
    ],
    [
      'a mirror of less than none',
      rule({ mirrors: [{ destination: { host: 'a' }, percentage: { value: -1 } }] }),
      'min',
    ],
    ['a fault without a kind', rule({ fault: {} }), 'must have an abort and/or a delay'],
    ['an abort with a status below 200', rule({ fault: { abort: { httpStatus: 199 } } }), 'HTTP status 199'],
    ['an abort with a status above 600', rule({ fault: { abort: { httpStatus: 601 } } }), 'HTTP status 601'],
    ['an abort of two kinds', rule({ fault: { abort: { httpStatus: 500, grpcStatus: 'INTERNAL' } } }), 'oneof'],
    ['an HTTP/2 abort', rule({ fault: { abort: { http2Error: 'x' } } }), 'HTTP/2 abort'],
    [
      'a fault of more than all',
      rule({ fault: { abort: { httpStatus: 500, percentage: { value: 100.5 } } } }),
      'percentage 100.5',
    ],
    ['a delay that is none', rule({ fault: { delay: { fixedDelay: '0s' } } }), 'greater than 1ms'],
    ['retries that are off and on', rule({ retries: { attempts: 0, perTryTimeout: '1s' } }), 'attempts are set to 0'],
    ['a negative number of retries', rule({ retries: { attempts: -1 } }), 'attempts cannot be negative'],
    ['an unknown reason to retry', rule({ retries: { attempts: 1, retryOn: '5xx,sometimes' } }), '"sometimes"'],
    ['a header name with a space', match({ headers: { 'x y': { exact: 'a' } } }), '"x y"'],
    ['two ways to match one header', match({ headers: { x: { exact: 'a', prefix: 'b' } } }), 'oneof'],
    ['a pattern that is none', match({ uri: { regex: '/(' } }), 'error parsing regexp'],
    ['a pattern in withoutHeaders that is none', match({ withoutHeaders: { x: { regex: '[' } } }), 'regexp'],
    ['an edit of the host in the answer', rule({ headers: { response: { set: { Host: 'a' } } } }), 'Host'],
    ['a subset that is no label', bare({ route: [to('V_1')] }), 'subset name is invalid'],
    ['delegate and route', rule({ name: 'r', delegate: { name: 'd' } }), 'root HTTP route r must not specify route'],
    [
      'a delegate behind a pattern',
      bare({ delegate: { name: 'd' }, match: [{ uri: { regex: '/.*' } }] }),
      'delegating',
    ],
    [
      'a delegate of a delegate',
      { http: [{ delegate: { name: 'd' } }] },
      'delegate HTTP route cannot contain delegate',
    ],
    ['a delegate with gateways', { gateways: ['g'], http: [{ route: [to('v1')] }] }, 'must have no gateways'],
    ['route and redirect', rule({ redirect: { uri: '/' } }), 'both route and redirect'],
    ['route and direct answer', rule({ directResponse: { status: 200 } }), 'both route and direct_response'],
    [
      'fault and redirect',
      bare({ redirect: { uri: '/' }, fault: { abort: { httpStatus: 500 } } }),
      'fault and redirect',
    ],
    ['a rule that leads nowhere', bare({ name: 'x' }), 'is required'],
    ['weights that add up to nothing', bare({ route: [to('v1', 0), to('v2', 0)] }), 'total destination weight = 0'],
    ['the same host twice', { ...rule({}), hosts: ['a', 'a'] }, 'duplicate hosts'],
    ['every host of the mesh', { ...rule({}), hosts: ['*'] }, 'wildcard host *'],
  ])('a VirtualService with %s', async (_, spec, words) => {
    const reply = await create('VirtualService', 'networking', spec);
    expect(reply.status, JSON.stringify(reply.body)).toBe(400);
    expect(reply.body.message).toContain('admission webhook "rev.validation.istio.io" denied the request');
    expect(reply.body.message).toContain(words);
  });

  it.each([
    ['DestinationRule', { host: 'a', trafficPolicy: { outlierDetection: { maxEjectionPercent: 101 } } }, '0..100'],
    ['DestinationRule', { host: 'a', subsets: [{ name: 'v1', trafficPolicy: {} }] }, 'at least one field'],
    ['DestinationRule', { host: 'a', trafficPolicy: { connectionPool: {} } }, 'connection pool'],
    ['Gateway', { selector: { istio: 'ingressgateway' } }, 'at least one server'],
    [
      'Gateway',
      { servers: [{ hosts: ['a'], port: { number: 443, name: 'https', protocol: 'HTTPS' } }] },
      'must have TLS settings',
    ],
    ['PeerAuthentication', { portLevelMtls: { 80: { mode: 'STRICT' } } }, 'cannot have port level mTLS'],
    ['AuthorizationPolicy', { action: 'DENY' }, 'meaningless'],
    ['AuthorizationPolicy', { rules: [{ from: [] }] }, '`from` cannot be empty'],
    ['AuthorizationPolicy', { rules: [{ to: [{ operation: {} }] }] }, '`to.operation` cannot be empty'],
  ])('%s %o', async (kind, spec, words) => {
    const group = kind === 'PeerAuthentication' || kind === 'AuthorizationPolicy' ? 'security' : 'networking';
    const reply = await create(kind, group, spec);
    expect(reply.status, JSON.stringify(reply.body)).toBe(400);
    expect(reply.body.message).toContain(words);
  });
});

describe("Istio's webhook has nothing against", () => {
  it.each([
    ['a mirror with a share', rule({ mirror: { host: 'myapp', subset: 'v2' }, mirrorPercentage: { value: 12.5 } })],
    ['several mirrors', rule({ mirrors: [{ destination: { host: 'a' }, percentage: { value: 100 } }] })],
    ['delay and abort', rule({ fault: { delay: { fixedDelay: '50ms' }, abort: { httpStatus: 599 } } })],
    ['codes as reasons to retry', rule({ retries: { attempts: 2, retryOn: '5xx,reset,connect-failure,503' } })],
    ['retries that are off', rule({ retries: { attempts: 0 } })],
    ['a rule that delegates', bare({ name: 'r', match: [{ uri: { prefix: '/a' } }], delegate: { name: 'd' } })],
    ['a delegate', { http: [{ route: [to('v1')] }] }],
    [
      'edits of headers',
      rule({ headers: { request: { set: { ':authority': 'b' } }, response: { add: { 'x-a': 'b' } } } }),
    ],
    ['a case-insensitive pattern', match({ headers: { cookie: { regex: '(?i)^(.*?;)?(user=test)(;.*)?$' } } })],
  ])('a VirtualService with %s', async (_, spec) => {
    const reply = await create('VirtualService', 'networking', spec);
    expect(reply.status, JSON.stringify(reply.body)).toBe(201);
  });
});

describe("Istio's webhook lets through with a warning", () => {
  const catchAll = { route: [to('v1')] };
  const api = (more: object = {}) => ({ match: [{ uri: { prefix: '/api' } }], route: [to('v1')], ...more });
  it.each([
    [
      'a second rule without matches',
      [catchAll, { name: 'late', ...catchAll }],
      'rule \\"late\\" not used (only the last',
    ],
    [
      'a match that came before',
      [api({ name: 'a' }), api()],
      'rule #1 match #0 is not used (duplicate/overlapping match in rule',
    ],
    ['a rule whose every match came before', [api(), api()], 'rule #1 not used (all matches used by prior rules)'],
    [
      'the old spelling of a percentage',
      [{ ...catchAll, mirror: { host: 'a' }, mirrorPercent: 5 }],
      'mirrorPercentage',
    ],
  ])('%s', async (_, http, words) => {
    const reply = await create('VirtualService', 'networking', { hosts: ['myapp'], http });
    expect(reply.status, JSON.stringify(reply.body)).toBe(201);
    expect(reply.warning).toContain(words);
  });

  it('and says nothing about rules that are all used', async () => {
    const reply = await create('VirtualService', 'networking', { hosts: ['myapp'], http: [api(), catchAll] });
    expect(reply.warning).toBeNull();
  });
});

describe('kinds of the whole mesh', () => {
  it.each([
    [
      'Gateway',
      'networking',
      'v1beta1',
      { servers: [{ hosts: ['a'], port: { number: 80, name: 'h', protocol: 'HTTP' } }] },
    ],
    ['Sidecar', 'networking', 'v1', { egress: [{ hosts: ['./*'] }] }],
    ['ServiceEntry', 'networking', 'v1', { hosts: ['a.example.com'] }],
    ['PeerAuthentication', 'security', 'v1beta1', { mtls: { mode: 'STRICT' } }],
    ['AuthorizationPolicy', 'security', 'v1', { rules: [{ from: [{ source: { principals: ['a'] } }] }] }],
    ['Telemetry', 'telemetry', 'v1', { tracing: [{ randomSamplingPercentage: 10 }] }],
  ])('%s: a field that the schema does not know is dropped with a warning', async (kind, group, version, spec) => {
    const reply = await create(kind, group, { ...spec, surprise: 1 }, version);
    expect(reply.status, JSON.stringify(reply.body)).toBe(201);
    expect(reply.warning).toContain('unknown field \\"spec.surprise\\"');
    expect(reply.body.spec).toEqual(spec);
  });

  it.each([
    ['PeerAuthentication', 'security', { mtls: { mode: 'SOMETIMES' } }, 'Unsupported value'],
    ['AuthorizationPolicy', 'security', { action: 'MAYBE' }, 'Unsupported value'],
    ['Telemetry', 'telemetry', { tracing: [{ randomSamplingPercentage: 101 }] }, 'less than or equal to 100'],
    ['HorizontalPodAutoscaler', 'autoscaling', { scaleTargetRef: { kind: 'Deployment', name: 'a' } }, 'maxReplicas'],
  ])('%s %s: %o is 422', async (kind, group, spec, words) => {
    const reply = await create(kind, group, spec);
    expect(reply.status, JSON.stringify(reply.body)).toBe(422);
    expect(reply.body.message).toContain(words);
  });

  it.each([
    ['ScaledObject', 'keda.sh', { scaleTargetRef: { name: 'a' }, anything: [1] }],
    ['HorizontalPodAutoscaler', 'autoscaling', { scaleTargetRef: { kind: 'Deployment', name: 'a' }, maxReplicas: 3 }],
    ['ReplicaSet', 'apps', { replicas: 1, selector: { matchLabels: { a: 'b' } } }],
    ['ServiceAccount', '', undefined],
  ])('%s of %s is stored as it comes', async (kind, group, spec) => {
    const reply = await create(kind, group, spec);
    expect(reply.status, JSON.stringify(reply.body)).toBe(201);
    expect(reply.body.spec).toEqual(spec);
  });
});

describe('scale of a Deployment', () => {
  const path = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/myapp-v2`;
  beforeAll(() => {
    api.put({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'myapp-v2', namespace: NAMESPACE, uid: 'u-1' },
      spec: { replicas: 2, selector: { matchLabels: { version: 'v2', app: 'myapp' } } },
      status: { replicas: 2, readyReplicas: 2 },
    });
  });
  const replicas = async () => (await send('GET', path)).body.spec.replicas;

  it('is told as an autoscaling/v1 Scale', async () => {
    const { status, body } = await send('GET', `${path}/scale`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: { name: 'myapp-v2', namespace: NAMESPACE, uid: 'u-1' },
      spec: { replicas: 2 },
      status: { replicas: 2, selector: 'app=myapp,version=v2' },
    });
    expect(body.metadata.resourceVersion).toBe((await send('GET', path)).body.metadata.resourceVersion);
  });

  it('is changed by a merge patch, and the Deployment with it: its generation moves', async () => {
    const { generation } = (await send('GET', path)).body.metadata;
    const reply = await send('PATCH', `${path}/scale?fieldManager=t`, { spec: { replicas: 5 } }, MERGE_PATCH);
    expect([reply.status, reply.body.kind, reply.body.spec]).toEqual([200, 'Scale', { replicas: 5 }]);
    expect(await replicas()).toBe(5);
    expect((await send('GET', path)).body.metadata.generation).toBe(generation + 1);
    expect(reply.body.metadata.resourceVersion).toBe((await send('GET', path)).body.metadata.resourceVersion);
  });

  it('is changed by a JSON patch with a precondition, and not where somebody was faster', async () => {
    const { resourceVersion } = (await send('GET', `${path}/scale`)).body.metadata;
    const ops = (revision: string, count: number) => [
      { op: 'replace', path: '/metadata/resourceVersion', value: revision },
      { op: 'replace', path: '/spec/replicas', value: count },
    ];
    expect((await send('PATCH', `${path}/scale`, ops(resourceVersion, 3), JSON_PATCH)).status).toBe(200);
    expect((await send('PATCH', `${path}/scale`, ops(resourceVersion, 4), JSON_PATCH)).status).toBe(409);
    expect(await replicas()).toBe(3);
  });

  it.each([
    ['a negative number', { spec: { replicas: -1 } }, MERGE_PATCH, 422],
    ['half a replica', { spec: { replicas: 1.5 } }, MERGE_PATCH, 400],
    ['a strategic merge patch', { spec: { replicas: 1 } }, 'application/strategic-merge-patch+json', 415],
    ['a path that is not there', [{ op: 'replace', path: '/spec/x', value: 1 }], JSON_PATCH, 422],
  ])('refuses %s', async (_, body, type, status) => {
    const before = await replicas();
    expect((await send('PATCH', `${path}/scale`, body, type)).status).toBe(status);
    expect(await replicas()).toBe(before);
  });

  it('does not change in a dry run', async () => {
    const reply = await send('PATCH', `${path}/scale?dryRun=All`, { spec: { replicas: 9 } }, MERGE_PATCH);
    expect(reply.status).toBe(200);
    expect(await replicas()).toBe(3);
  });

  it('is missing where the Deployment is, or the kind has none', async () => {
    expect((await send('GET', `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/nobody/scale`)).status).toBe(404);
    expect((await send('GET', `/api/v1/namespaces/${NAMESPACE}/services/myapp/scale`)).status).toBe(404);
  });
});
