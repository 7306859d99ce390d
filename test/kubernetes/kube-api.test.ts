/** What tests and the sandbox rely on in the API server in process, beyond what the contract suite says of any server. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ALL_KINDS,
  type KubeApi,
  type KubeApiOptions,
  openKind,
  startKubeApi,
  TRAFFIC_SPLIT,
  TRAFFIC_SPLIT_LATER,
} from '../../src/sandbox/kube-api/index.ts';
import { JSON_PATCH, type KubeHttp, openHttp, STRATEGIC } from '../support/kube-http.ts';
import { deployment, httpRoute, trafficSplit, virtualService } from '../support/kube-objects.ts';

const PATH = '/apis/networking.istio.io/v1/namespaces/production/virtualservices/myapp';
const TO_75 = [{ op: 'replace', path: '/spec/http/1/route/1/weight', value: 25 }];

let api: KubeApi;
let http: KubeHttp;
const start = async (options: KubeApiOptions = {}, token?: string): Promise<void> => {
  api = await startKubeApi(options);
  http = await openHttp({ kubeconfig: api.kubeconfig(token) });
};
afterEach(async () => {
  http.close();
  await api.stop();
});

describe('seeding', () => {
  beforeEach(() => start());

  it('makes the namespace, counts generations on changes of the spec only, keeps identity', async () => {
    const first = api.put(virtualService([100, 0]));
    expect(api.get('', 'namespaces', '', 'production')).toBeDefined();
    const annotated = api.put(virtualService([100, 0], { annotations: { a: 'b' } }));
    const changed = api.put(virtualService([50, 50]));
    expect([first, annotated, changed].map((object) => object.metadata.generation)).toEqual([1, 1, 2]);
    expect(changed.metadata.uid).toBe(first.metadata.uid);
    expect(Number(changed.metadata.resourceVersion)).toBeGreaterThan(Number(annotated.metadata.resourceVersion));
  });

  it('may set what the server sets otherwise', () => {
    const object = api.put({
      ...virtualService(),
      metadata: { name: 'a', namespace: 'b', uid: 'u', creationTimestamp: '2020-01-01T00:00:00Z', generation: 7 },
    });
    expect(object.metadata).toMatchObject({ uid: 'u', creationTimestamp: '2020-01-01T00:00:00Z', generation: 7 });
  });

  it('keeps to the schemas, and says what is wrong', () => {
    expect(() => api.put(trafficSplit(['900m', 1], 'v1alpha2'))).toThrow('must be of type number');
    expect(() => api.put({ apiVersion: 'a/v1', kind: 'B', metadata: { name: 'x' } })).toThrow('a/v1 B is not served');
    expect(() => api.get('a', 'bs', 'c', 'd')).toThrow(
      /bs\.a is not served; served: virtualservices\.networking\.istio\.io/,
    );
  });

  it('may do what the webhook would refuse', () => {
    expect(() => api.put(virtualService([0, 0]))).not.toThrow();
  });

  it('can look like GitOps', () => {
    const object = api.put(virtualService(), { manager: 'kustomize-controller', operation: 'Apply' });
    expect(object.metadata.managedFields).toMatchObject([{ manager: 'kustomize-controller', operation: 'Apply' }]);
  });

  it('a Deployment whose status names no generation is seen by its controller', () => {
    const object = api.put({ ...deployment('a'), status: { replicas: 2 } });
    expect(object.status).toEqual({ replicas: 2, observedGeneration: 1 });
  });

  it('keeps the status that was there where the seed has none', () => {
    api.put({ ...virtualService(), status: { observedGeneration: 1 } });
    expect(api.put(virtualService([1, 99])).status).toEqual({ observedGeneration: 1 });
  });

  it('removes, lists and forgets nothing else', () => {
    api.put(virtualService());
    api.put(virtualService([1, 1], { name: 'other' }));
    expect(api.remove('networking.istio.io', 'virtualservices', 'production', 'myapp')).toBe(true);
    expect(api.remove('networking.istio.io', 'virtualservices', 'production', 'myapp')).toBe(false);
    expect(api.list('networking.istio.io', 'virtualservices').map((object) => object.metadata.name)).toEqual(['other']);
  });
});

describe('journal', () => {
  beforeEach(() => start());

  it('holds every accepted write in order, with the object before and after', async () => {
    api.put(virtualService());
    const before = api.journal.length;
    await http.send('PATCH', `${PATH}?fieldManager=sluice`, TO_75, JSON_PATCH);
    await http.send('PATCH', `${PATH}?fieldManager=sluice&dryRun=All`, TO_75, JSON_PATCH);
    await http.send('PATCH', PATH, [{ op: 'test', path: '/kind', value: 'Other' }], JSON_PATCH);
    await http.send('PATCH', `${PATH}?fieldManager=sluice`, TO_75, JSON_PATCH);
    await http.send('DELETE', PATH);
    const written = api.journal.slice(before);
    expect(written.map(({ verb, changed, fieldManager }) => [verb, changed, fieldManager])).toEqual([
      ['patch', true, 'sluice'],
      ['patch', false, 'sluice'],
      ['delete', true, 'unknown'],
    ]);
    expect(written[0]?.before?.metadata.generation).toBe(1);
    expect(written[0]?.after?.metadata.generation).toBe(2);
    expect(written[2]?.after).toBeNull();
    expect(written.map((write) => write.seq)).toEqual([before + 1, before + 2, before + 3]);
  });

  it('can be kept short: the newest entries stay, and their numbers go on', async () => {
    http.close();
    await api.stop();
    await start({ journalLimit: 10 });
    for (let i = 0; i < 100; i += 1) api.put(virtualService([100 - i, i]));
    expect(api.journal.length).toBeLessThanOrEqual(20);
    expect(api.journal.at(-1)?.seq).toBe(101);
  });

  it('an entry is a snapshot: later writes do not change it', async () => {
    api.put(virtualService());
    const [entry] = api.journal.slice(-1);
    const text = JSON.stringify(entry);
    await http.send('PATCH', PATH, TO_75, JSON_PATCH);
    expect(JSON.stringify(entry)).toBe(text);
  });
});

describe('faults', () => {
  beforeEach(async () => {
    await start();
    api.put(virtualService());
  });

  it('strike matching requests, so often as they say, and can be undone', async () => {
    api.fail({ verb: 'get', path: /virtualservices\/myapp/, status: 503, retryAfter: 2, times: 2 });
    const replies = [await http.send('GET', PATH), await http.send('GET', PATH), await http.send('GET', PATH)];
    expect(replies.map((reply) => reply.status)).toEqual([503, 503, 200]);
    expect(replies[0]?.headers['retry-after']).toBe('2');
    expect(replies[0]?.json()).toMatchObject({ kind: 'Status', reason: 'ServiceUnavailable', code: 503 });
    const undo = api.fail({ status: 500 });
    expect((await http.send('GET', PATH)).status).toBe(500);
    undo();
    expect((await http.send('GET', PATH)).status).toBe(200);
  });

  it('after: the write takes place, its answer does not', async () => {
    api.fail({ verb: 'patch', drop: true, after: true, times: 1 });
    await expect(http.send('PATCH', PATH, TO_75, JSON_PATCH)).rejects.toThrow();
    expect(api.get('networking.istio.io', 'virtualservices', 'production', 'myapp')?.metadata.generation).toBe(2);
  });

  it('before: nothing takes place', async () => {
    api.fail({ verb: 'patch', drop: true, times: 1 });
    await expect(http.send('PATCH', PATH, TO_75, JSON_PATCH)).rejects.toThrow();
    expect(api.get('networking.istio.io', 'virtualservices', 'production', 'myapp')?.metadata.generation).toBe(1);
  });

  it('a watch can be muted from the start', async () => {
    api.fail({ verb: 'watch', mute: true, times: 1 });
    const collection = PATH.slice(0, PATH.lastIndexOf('/'));
    expect(await http.watch(`${collection}?watch=true&timeoutSeconds=1`, () => false, 1_500)).toEqual({
      status: 200,
      events: [],
      ended: 'time',
    });
    expect((await http.watch(`${collection}?watch=true`, (events) => events.length > 0, 1_500)).ended).toBe('enough');
  });

  it('a watch from before the compaction gets 410 as an event', async () => {
    api.put(virtualService([50, 50]));
    api.compact();
    const watched = await http.watch(
      `${PATH.slice(0, PATH.lastIndexOf('/'))}?watch=true&resourceVersion=2`,
      (events) => events.length > 0,
    );
    expect(watched.events).toMatchObject([{ type: 'ERROR', object: { code: 410, reason: 'Expired' } }]);
  });
});

describe('access', () => {
  const rules = [
    {
      apiGroups: ['networking.istio.io'],
      resources: ['virtualservices'],
      verbs: ['get', 'patch'],
      namespaces: ['production'],
    },
    { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
  ];
  beforeEach(async () => {
    await start({ tokens: { t: { user: 'system:serviceaccount:sluice:sluice', rules } } }, 't');
    api.put(virtualService());
    api.put(virtualService([100, 0], { namespace: 'other' }));
  });

  it('what the rules allow goes through, everything else is 403 and names user, verb and resource', async () => {
    expect((await http.send('GET', PATH)).status).toBe(200);
    expect((await http.send('PATCH', PATH, TO_75, JSON_PATCH)).status).toBe(200);
    expect((await http.send('GET', '/api/v1/pods')).status).toBe(200);
    const refused = await http.send('GET', PATH.replace('production', 'other'));
    expect(refused.status).toBe(403);
    expect(refused.json().message).toBe(
      'virtualservices.networking.istio.io "myapp" is forbidden: User "system:serviceaccount:sluice:sluice" cannot get resource "virtualservices" in API group "networking.istio.io" in the namespace "other"',
    );
    expect((await http.send('DELETE', PATH)).status).toBe(403);
    expect((await http.send('GET', '/api/v1/pods?watch=true')).status).toBe(403);
    expect((await http.send('PATCH', `${PATH}/status`, {}, JSON_PATCH)).status).toBe(403);
  });

  it('everybody who is known may ask what they may do, and discover', async () => {
    const ask = async (verb: string, namespace: string): Promise<boolean> => {
      const resourceAttributes = { group: 'networking.istio.io', resource: 'virtualservices', verb, namespace };
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes },
      };
      return (await http.send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', body)).json().status
        .allowed;
    };
    expect(await ask('patch', 'production')).toBe(true);
    expect(await ask('patch', 'other')).toBe(false);
    expect(await ask('delete', 'production')).toBe(false);
    expect((await http.send('GET', '/apis/networking.istio.io')).status).toBe(200);
  });

  it('an unknown token is 401, no token is a 403 for system:anonymous', async () => {
    const stranger = await openHttp({ kubeconfig: api.kubeconfig('x') });
    expect((await stranger.send('GET', PATH)).status).toBe(401);
    stranger.close();
    const nobody = await openHttp({ kubeconfig: api.kubeconfig() });
    expect((await nobody.send('GET', PATH)).json().message).toContain('User "system:anonymous" cannot get');
    nobody.close();
  });

  it('the journal names the user', async () => {
    await http.send('PATCH', PATH, TO_75, JSON_PATCH);
    expect(api.journal.at(-1)).toMatchObject({ verb: 'patch', user: 'system:serviceaccount:sluice:sluice' });
  });
});

describe('kinds', () => {
  it('TrafficSplit as other meshes serve it: v1alpha4 and v1alpha3, no v1alpha1', async () => {
    await start({ kinds: [...ALL_KINDS.filter((kind) => kind !== TRAFFIC_SPLIT), TRAFFIC_SPLIT_LATER] });
    api.put(trafficSplit([90, 10], 'v1alpha4'));
    const group = (await http.send('GET', '/apis/split.smi-spec.io')).json<{ versions: { version: string }[] }>();
    expect(group.versions.map((one) => one.version)).toEqual(['v1alpha4', 'v1alpha3']);
    const path = '/namespaces/production/trafficsplits/myapp';
    expect((await http.send('GET', `/apis/split.smi-spec.io/v1alpha3${path}`)).json().spec.backends[0].weight).toBe(90);
    expect((await http.send('GET', `/apis/split.smi-spec.io/v1alpha1${path}`)).text).toBe('404 page not found\n');
  });

  it('an open kind keeps every field; a kind can come and go', async () => {
    await start();
    const path = '/apis/security.istio.io/v1/namespaces/production/requestauthentications/default';
    expect((await http.send('GET', path)).headers['content-type']).toContain('text/plain');
    api.serve(openKind('security.istio.io', 'v1', 'requestauthentications', 'RequestAuthentication'));
    api.put({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { name: 'default', namespace: 'production' },
      spec: { any: { thing: 1 } },
    });
    expect((await http.send('GET', path)).json().spec).toEqual({ any: { thing: 1 } });
    api.unserve('security.istio.io', 'requestauthentications');
    expect((await http.send('GET', path)).status).toBe(404);
  });

  it('HTTPRoute of the Gateway API: v1 and v1beta1 are the same', async () => {
    await start();
    api.put(httpRoute('gateway.networking.k8s.io', 'v1', [75, 25]));
    const at = (version: string) =>
      http.send('GET', `/apis/gateway.networking.k8s.io/${version}/namespaces/production/httproutes/myapp`);
    expect((await at('v1beta1')).json().spec).toEqual((await at('v1')).json().spec);
  });

  it('refuses what it does not imitate: a strategic merge patch of a built-in kind', async () => {
    await start();
    api.put(deployment('a'));
    expect((await http.send('PATCH', '/apis/apps/v1/namespaces/production/deployments/a', {}, STRATEGIC)).status).toBe(
      415,
    );
  });
});
