import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createTcp, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type OpenedKube, openKube } from '../../src/adapters/kubernetes/client.ts';
import type { KubeTrouble, KubeTroubleCode, ObjectRef, PatchOp } from '../../src/adapters/kubernetes/kube.ts';
import { type FaultRule, type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { deployment, pod, virtualService } from '../support/kube-objects.ts';

const SPLIT: ObjectRef = {
  group: 'networking.istio.io',
  version: 'v1',
  plural: 'virtualservices',
  namespace: 'production',
  name: 'myapp',
};
const TO_75: readonly PatchOp[] = [
  { op: 'replace', path: '/spec/http/1/route/0/weight', value: 75 },
  { op: 'replace', path: '/spec/http/1/route/1/weight', value: 25 },
];

let api: KubeApi;
let kube: OpenedKube;

beforeEach(async () => {
  api = await startKubeApi();
  api.put(virtualService());
  kube = await openKube({ cluster: 'default', kubeconfig: api.kubeconfig(), timeoutMs: 400 });
});
afterEach(async () => {
  kube.close();
  await api.stop();
});

const troubleOf = (result: { ok: boolean }): KubeTrouble => {
  expect(result.ok, JSON.stringify(result)).toBe(false);
  return result as KubeTrouble;
};

describe('an object goes through as JSON', () => {
  it('keeps fields that no typed model knows', async () => {
    api.put({ ...virtualService(), status: { invented: { deep: [1, null, 'x'] } } });
    const got = await kube.get(SPLIT);
    expect(got).toMatchObject({ ok: true, value: { status: { invented: { deep: [1, null, 'x'] } } } });
  });

  it('patches with our field manager and answers the new object', async () => {
    const got = await kube.patch(SPLIT, TO_75);
    expect(got).toMatchObject({ ok: true, value: { metadata: { generation: 2 } } });
    expect(api.journal.at(-1)).toMatchObject({ verb: 'patch', fieldManager: 'sluice', changed: true });
  });

  it('rehearses without storing', async () => {
    const got = await kube.patch(SPLIT, TO_75, { dryRun: true });
    expect(got).toMatchObject({ ok: true, value: { metadata: { generation: 2 } } });
    expect(api.get('networking.istio.io', 'virtualservices', 'production', 'myapp')?.metadata.generation).toBe(1);
  });

  it('is created with our field manager, and only where there is none of its name', async () => {
    const ref = { ...SPLIT, name: 'fresh' };
    const object = { kind: 'VirtualService', metadata: { name: 'fresh' }, spec: virtualService()['spec'] };
    expect(await kube.create(ref, object)).toMatchObject({
      ok: true,
      value: { metadata: { namespace: 'production' } },
    });
    expect(api.journal.at(-1)).toMatchObject({ verb: 'create', fieldManager: 'sluice' });
    expect(troubleOf(await kube.create(ref, object))).toMatchObject({ code: 'conflict', status: 409 });
  });

  it('is deleted only as it was read', async () => {
    const got = await kube.get(SPLIT);
    const seen = got.ok ? (got.value.metadata.resourceVersion ?? '') : '';
    await kube.patch(SPLIT, TO_75);
    expect(troubleOf(await kube.delete(SPLIT, seen))).toMatchObject({ code: 'conflict' });
    const now = await kube.get(SPLIT);
    expect(await kube.delete(SPLIT, now.ok ? (now.value.metadata.resourceVersion ?? '') : '')).toEqual({
      ok: true,
      value: null,
    });
    expect(troubleOf(await kube.get(SPLIT)).code).toBe('not_found');
  });

  it('names version and kind of listed built-in objects, which the server leaves out', async () => {
    api.put(pod('myapp-1', 'myapp', { phase: 'Running' }));
    const listed = await kube.list({ group: '', version: 'v1', plural: 'pods', namespace: 'production' });
    expect(listed).toMatchObject({
      ok: true,
      value: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'myapp-1' } }],
    });
  });

  it('lists by label, page by page', async () => {
    for (let i = 0; i < 1201; i += 1) api.put(pod(`p-${i}`, i < 1100 ? 'myapp' : 'other', { phase: 'Running' }));
    const listed = await kube.list(
      { group: '', version: 'v1', plural: 'pods', namespace: 'production' },
      { labelSelector: 'app=myapp' },
    );
    expect(listed.ok && listed.value.length).toBe(1100);
    expect(api.requests.count('list', 'pods')).toBe(3);
  });

  it('starts a list again whose continuation expired, and gives up in the end', async () => {
    for (let i = 0; i < 600; i += 1) api.put(pod(`p-${i}`, 'myapp', { phase: 'Running' }));
    api.fail({ verb: 'list', path: 'continue=', status: 410, times: 1 });
    const kind = { group: '', version: 'v1', plural: 'pods', namespace: 'production' };
    const listed = await kube.list(kind);
    expect(listed.ok && listed.value.length).toBe(600);
    api.fail({ verb: 'list', path: 'continue=', status: 410 });
    expect(troubleOf(await kube.list(kind))).toMatchObject({ code: 'unavailable', status: 410 });
  });
});

interface Row {
  readonly what: string;
  readonly rule: FaultRule;
  readonly code: KubeTroubleCode;
  readonly status: number | null;
  readonly says: RegExp;
  readonly retryAfter?: number;
}

const PROXY_PAGE = { contentType: 'text/html', text: '<html>Bad gateway</html>' };

const FAULTS: readonly Row[] = [
  {
    what: '400',
    rule: { status: 400, message: 'admission webhook "x" denied the request' },
    code: 'rejected',
    status: 400,
    says: /denied the request/,
  },
  { what: '401', rule: { status: 401 }, code: 'unauthorized', status: 401, says: /read again and refused again/ },
  {
    what: '403',
    rule: { status: 403, message: 'forbidden: no' },
    code: 'forbidden',
    status: 403,
    says: /Grant it: apiGroups: \["networking\.istio\.io"\], resources: \["virtualservices"\], verbs: \["(get|patch)"\]/,
  },
  {
    what: '404 in JSON',
    rule: { status: 404, message: 'virtualservices "myapp" not found' },
    code: 'not_found',
    status: 404,
    says: /not found/,
  },
  {
    what: '404 in plain text',
    rule: { status: 404, body: { contentType: 'text/plain', text: '404 page not found' } },
    code: 'kind_not_served',
    status: 404,
    says: /does not serve virtualservices\.networking\.istio\.io in v1: install its CRD/,
  },
  {
    what: '404 about the requested resource',
    rule: { status: 404, message: 'the server could not find the requested resource' },
    code: 'kind_not_served',
    status: 404,
    says: /install its CRD/,
  },
  {
    what: '409',
    rule: { status: 409, message: 'the object has been modified' },
    code: 'conflict',
    status: 409,
    says: /has been modified/,
  },
  { what: '415', rule: { status: 415 }, code: 'rejected', status: 415, says: /415/ },
  {
    what: '422',
    rule: { status: 422, message: 'must be of type integer' },
    code: 'invalid',
    status: 422,
    says: /must be of type integer/,
  },
  { what: '429', rule: { status: 429, retryAfter: 7 }, code: 'unavailable', status: 429, says: /429/, retryAfter: 7 },
  {
    what: '500',
    rule: { status: 500, message: 'failed calling webhook' },
    code: 'unavailable',
    status: 500,
    says: /failed calling webhook/,
  },
  {
    what: '502 from a proxy',
    rule: { status: 502, body: PROXY_PAGE },
    code: 'unavailable',
    status: 502,
    says: /<html>Bad gateway/,
  },
  { what: '503', rule: { status: 503, retryAfter: 3 }, code: 'unavailable', status: 503, says: /503/, retryAfter: 3 },
  { what: '504', rule: { status: 504 }, code: 'unavailable', status: 504, says: /504/ },
  { what: 'a redirect', rule: { status: 302, body: PROXY_PAGE }, code: 'unavailable', status: 302, says: /302/ },
  {
    what: '200 with HTML',
    rule: { status: 200, body: PROXY_PAGE },
    code: 'unavailable',
    status: 200,
    says: /not the API's JSON/,
  },
  {
    what: '200 cut off',
    rule: { status: 200, body: { contentType: 'application/json', text: '{"kind":"Virt' } },
    code: 'unavailable',
    status: 200,
    says: /not the API's JSON/,
  },
  { what: 'no answer', rule: { hang: true }, code: 'timeout', status: null, says: /no answer within 0\.4 s/ },
  { what: 'a late answer', rule: { delayMs: 900 }, code: 'timeout', status: null, says: /no answer within 0\.4 s/ },
  {
    what: 'a connection that is cut',
    rule: { drop: true },
    code: 'unavailable',
    status: null,
    says: /connection was cut/,
  },
];

describe('trouble has a code, a status and words that help', () => {
  for (const { what, rule, code, status, says, retryAfter } of FAULTS) {
    it(`${what} is ${code}`, async () => {
      api.fail({ ...rule, path: 'virtualservices' });
      for (const [verb, call] of [
        ['get', () => kube.get(SPLIT)],
        ['patch', () => kube.patch(SPLIT, TO_75)],
      ] as const) {
        const trouble = troubleOf(await call());
        expect(trouble.code).toBe(code);
        expect(trouble.status).toBe(status);
        expect(trouble.retryAfter).toBe(retryAfter);
        expect(trouble.message).toMatch(says);
        expect(trouble.message).toContain(
          `${verb} virtualservices.networking.istio.io production/myapp in cluster default: `,
        );
      }
    });
  }

  it('says of a patch without an answer that the write may have taken place', async () => {
    api.fail({ verb: 'patch', hang: true, after: true });
    const trouble = troubleOf(await kube.patch(SPLIT, TO_75));
    expect(trouble).toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('unknown: read before repeating it'),
    });
    expect(api.journal.at(-1)).toMatchObject({ verb: 'patch', changed: true });
    expect(troubleOf(await failing(() => kube.get(SPLIT))).message).not.toContain('unknown');
  });

  const failing = async <T>(call: () => Promise<T>): Promise<T> => {
    const undo = api.fail({ verb: 'get', drop: true });
    const result = await call();
    undo();
    return result;
  };

  it('never repeats a patch by itself', async () => {
    api.fail({ verb: 'patch', drop: true });
    troubleOf(await kube.patch(SPLIT, TO_75));
    expect(api.requests.verbs['patch']).toBe(1);
  });

  it('many words are cut short', async () => {
    api.fail({ status: 500, message: 'x'.repeat(10_000) });
    expect(troubleOf(await kube.get(SPLIT)).message.length).toBeLessThan(700);
  });

  it('the reason at the end of a refusal that quotes the whole object is kept', async () => {
    const long = { op: 'add', path: '/metadata/annotations', value: { a: 'x'.repeat(5_000), b: 7 } } as const;
    expect(troubleOf(await kube.patch(SPLIT, [long])).message).toMatch(/annotations of type string$/);
  });

  it('recovers by itself when the fault is over', async () => {
    api.fail({ drop: true, times: 2 });
    troubleOf(await kube.get(SPLIT));
    troubleOf(await kube.get(SPLIT));
    expect((await kube.get(SPLIT)).ok).toBe(true);
  });

  it('a real conflict, a missing test, a missing object and a missing CRD come out by name', async () => {
    const stale = await kube.patch(SPLIT, [{ op: 'replace', path: '/metadata/resourceVersion', value: '1' }, ...TO_75]);
    expect(troubleOf(stale).code).toBe('conflict');
    const moved = await kube.patch(SPLIT, [
      { op: 'test', path: '/spec/http/1/route/0/destination/subset', value: 'v9' },
    ]);
    expect(troubleOf(moved).code).toBe('invalid');
    expect(troubleOf(await kube.get({ ...SPLIT, name: 'nobody' })).code).toBe('not_found');
    api.unserve('networking.istio.io', 'virtualservices');
    expect(troubleOf(await kube.get(SPLIT)).code).toBe('kind_not_served');
  });
});

describe('an API server that cannot be reached', () => {
  let mute: Server;
  let port: number;
  beforeAll(async () => {
    mute = createTcp((socket) => void socket.on('error', () => undefined).write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    port = (mute.address() as { port: number }).port;
  });
  afterAll(() => void mute.close());

  it('is opened all the same, and the trouble says that nothing listens', async () => {
    await api.stop();
    expect(troubleOf(await kube.get(SPLIT))).toMatchObject({
      code: 'unavailable',
      status: null,
      message: expect.stringContaining('nothing listens there'),
    });
    expect(await kube.ping()).toContain('nothing listens there');
  });

  it('speaks no TLS where TLS was wanted', async () => {
    const secure = await openKube({
      cluster: 'tls',
      kubeconfig: api.kubeconfig().replace(api.url, `https://127.0.0.1:${port}`),
    });
    expect(troubleOf(await secure.get(SPLIT))).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('does not speak TLS'),
    });
    secure.close();
  });
});

describe('credentials', () => {
  const RULES = [{ apiGroups: ['networking.istio.io'], resources: ['virtualservices'], verbs: ['get'] }];
  const ACCOUNT = { user: 'system:serviceaccount:sluice:sluice', rules: RULES };
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-kube-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('reads the token file again after a 401 and repeats the call once', async () => {
    const tokenFile = join(directory, 'token');
    await writeFile(tokenFile, 'first\n');
    api.grant('first', ACCOUNT);
    const kubeconfig = api.kubeconfig().replace('user: {}', `user: { tokenFile: ${tokenFile} }`);
    const rotating = await openKube({ cluster: 'default', kubeconfig });
    expect(await rotating.get(SPLIT)).toMatchObject({ ok: true });
    api.revoke('first');
    api.grant('second', ACCOUNT);
    await writeFile(tokenFile, 'second\n');
    api.requests.reset();
    expect(await rotating.get(SPLIT)).toMatchObject({ ok: true });
    expect(api.requests.count('get', 'virtualservices')).toBe(2);
    expect(await rotating.get(SPLIT)).toMatchObject({ ok: true });
    expect(api.requests.count('get', 'virtualservices')).toBe(3);
    rotating.close();
  });

  it('reads the kubeconfig file again after a 401, once for many calls', async () => {
    const kubeconfigFile = join(directory, 'config');
    await writeFile(kubeconfigFile, api.kubeconfig('first'));
    api.grant('first', ACCOUNT);
    const rotating = await openKube({ cluster: 'default', kubeconfigFile });
    expect(await rotating.get(SPLIT)).toMatchObject({ ok: true });
    api.revoke('first');
    api.grant('second', ACCOUNT);
    await writeFile(kubeconfigFile, api.kubeconfig('second'));
    const all = await Promise.all(Array.from({ length: 20 }, () => rotating.get(SPLIT)));
    expect(all.filter((got) => !got.ok)).toEqual([]);
    rotating.close();
  });

  it('a token that stays refused is unauthorized after one repeat', async () => {
    api.grant('good', ACCOUNT);
    const stranger = await openKube({ cluster: 'default', kubeconfig: api.kubeconfig('bad') });
    expect(troubleOf(await stranger.get(SPLIT))).toMatchObject({ code: 'unauthorized', status: 401 });
    expect(api.requests.count('get', 'virtualservices')).toBe(2);
    stranger.close();
  });

  it('a right that is missing is forbidden, and the rule to add is named', async () => {
    api.grant('reader', ACCOUNT);
    const reader = await openKube({ cluster: 'default', kubeconfig: api.kubeconfig('reader') });
    expect((await reader.get(SPLIT)).ok).toBe(true);
    const trouble = troubleOf(await reader.patch(SPLIT, TO_75));
    expect(trouble.code).toBe('forbidden');
    expect(trouble.message).toContain(
      'User "system:serviceaccount:sluice:sluice" cannot patch resource "virtualservices"',
    );
    expect(trouble.message).toContain(
      'Grant it: apiGroups: ["networking.istio.io"], resources: ["virtualservices"], verbs: ["patch"]',
    );
    expect(await reader.canI('get', SPLIT)).toEqual({ ok: true, value: true });
    expect(await reader.canI('patch', SPLIT)).toEqual({ ok: true, value: false });
    reader.close();
  });

  it.each([
    ['two sources at once', { kubeconfig: 'x', inCluster: true }, /give one of kubeconfig .* found 2/],
    ['no source', {}, /give one of kubeconfig .* found 0/],
    ['a file that is not there', { kubeconfigFile: '/nowhere/config' }, /kubeconfig \/nowhere\/config cannot be read/],
    ['text that is no kubeconfig', { kubeconfig: 'clusters: 7' }, /cannot be read|names no cluster/],
    ['a process that runs in no pod', { inCluster: true }, /is no URL: this process runs in no pod/],
  ])('%s is refused when the cluster is opened', async (_, source, says) => {
    await expect(openKube({ cluster: 'default', ...source })).rejects.toThrow(says);
  });

  it('an unknown context is refused with the known ones', async () => {
    await expect(openKube({ cluster: 'default', kubeconfig: api.kubeconfig(), context: 'other' })).rejects.toThrow(
      'cluster default: the kubeconfig has no context "other"; it has: sandbox',
    );
  });

  it('plain http needs the word for it', async () => {
    const kubeconfig = api.kubeconfig().replace('insecure-skip-tls-verify: true', 'insecure-skip-tls-verify: false');
    await expect(openKube({ cluster: 'default', kubeconfig })).rejects.toThrow('insecure-skip-tls-verify');
  });

  it('a path in the server’s URL is kept, as a gateway before the API needs it', async () => {
    const behind = await openKube({
      cluster: 'default',
      kubeconfig: api.kubeconfig().replace(api.url, `${api.url}/k8s/clusters/c-1`),
    });
    api.fail({
      path: '/k8s/clusters/c-1/apis/networking.istio.io/v1/namespaces/production/virtualservices/myapp',
      status: 503,
      retryAfter: 9,
    });
    expect(troubleOf(await behind.get(SPLIT))).toMatchObject({ status: 503, retryAfter: 9 });
    behind.close();
  });
});

describe('discovery', () => {
  it('names the versions of a group, the preferred one first, and asks once a minute', async () => {
    expect(await kube.versions('networking.istio.io')).toEqual({ ok: true, value: ['v1', 'v1beta1', 'v1alpha3'] });
    expect(await kube.versions('split.smi-spec.io')).toEqual({ ok: true, value: ['v1alpha2', 'v1alpha1'] });
    expect(await kube.versions('')).toEqual({ ok: true, value: ['v1'] });
    await kube.versions('networking.istio.io');
    expect(api.requests.verbs['discovery']).toBe(3);
  });

  it('an absent group has no versions, and is asked for again: its CRD may come', async () => {
    expect(await kube.versions('unheard.of')).toEqual({ ok: true, value: [] });
    await kube.versions('unheard.of');
    expect(api.requests.verbs['discovery']).toBe(2);
  });

  it('a failed discovery is trouble, not an absent group', async () => {
    api.fail({ verb: 'discovery', status: 503, times: 1 });
    expect(troubleOf(await kube.versions('networking.istio.io')).code).toBe('unavailable');
    expect((await kube.versions('networking.istio.io')).ok).toBe(true);
  });

  it('ping: null where the server answers, otherwise what is wrong', async () => {
    expect(await kube.ping()).toBeNull();
    api.fail({ verb: 'discovery', status: 500 });
    expect(await kube.ping()).toContain('HTTP 500');
  });
});

it('a deployment read through the client is what the server has', async () => {
  api.put(deployment('myapp-v1'));
  const got = await kube.read({
    group: 'apps',
    version: 'v1',
    plural: 'deployments',
    namespace: 'production',
    name: 'myapp-v1',
  });
  expect(got.ok && got.value).toEqual(api.get('apps', 'deployments', 'production', 'myapp-v1'));
});
