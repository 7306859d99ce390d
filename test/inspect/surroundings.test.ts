/** What a check may ask, over the real cluster client. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Surroundings } from '../../src/adapters/inspect/check.ts';
import { Unread } from '../../src/adapters/inspect/check.ts';
import { NO_DEMANDS } from '../../src/adapters/inspect/policy.ts';
import { openSurroundings } from '../../src/adapters/inspect/surroundings.ts';
import { openKube } from '../../src/adapters/kubernetes/client.ts';
import type { Answer } from '../../src/adapters/prometheus/answer.ts';
import { trouble } from '../../src/adapters/prometheus/answer.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import type { KubeApi } from '../../src/sandbox/kube-api/index.ts';
import { ALL_KINDS, openKind, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { destinationRule, service } from '../support/inspection.ts';
import { istioTarget, threeRules } from '../support/mesh-objects.ts';

const istio = meshFor(await loadMeshes(), 'istio');
const DESTINATION_RULES = { group: 'networking.istio.io', plural: 'destinationrules', namespace: 'production' };
const SERVICES = { group: '', plural: 'services', namespace: 'production' };

let stop: () => Promise<void> = async () => undefined;
afterEach(() => stop());

async function opened(
  query: ((promql: string) => Promise<Answer>) | null = null,
  token?: string,
): Promise<{ api: KubeApi; around: Surroundings }> {
  const open = openKind('example.com', 'v1beta2', 'widgets', 'Widget');
  const api = await startKubeApi({ kinds: [...ALL_KINDS, open] });
  const kube = await openKube({ cluster: 'west', kubeconfig: api.kubeconfig(token), timeoutMs: 500 });
  stop = async () => {
    kube.close();
    await api.stop();
  };
  for (const object of [destinationRule, threeRules(), service('myapp')]) api.put(object);
  const looked = { mesh: istio, proxy: 'istio', controlPlane: 'istio-system', policy: NO_DEMANDS } as const;
  const target = istio.target.parse(istioTarget());
  return { api, around: openSurroundings({ kube, query }, { ...looked, namespace: 'production', target }) };
}

describe('a list', () => {
  it('is asked for once, by the version that the cluster prefers, however many checks want it', async () => {
    const { api, around } = await opened();
    const [one, two] = await Promise.all([around.list(DESTINATION_RULES), around.list(DESTINATION_RULES)]);
    expect(one).toBe(two);
    expect(one?.[0]?.apiVersion).toBe('networking.istio.io/v1');
    expect(api.requests.count('list', 'destinationrules')).toBe(1);
  });

  it('of another namespace is another question', async () => {
    const { api, around } = await opened();
    expect(await around.list({ ...SERVICES, namespace: 'shop' })).toEqual([]);
    expect(await around.list({ ...SERVICES, namespace: '' })).toHaveLength(1);
    expect(api.requests.count('list', 'services')).toBe(2);
  });

  it('of a kind that the cluster does not serve is null: of an unknown group, and of a known one', async () => {
    const { around } = await opened();
    expect(await around.list({ group: 'telemetry.istio.io', plural: 'nothings', namespace: '' })).toBeNull();
    expect(await around.list({ group: 'networking.istio.io', plural: 'nothings', namespace: '' })).toBeNull();
    expect(await around.versions('nobody.example.com')).toEqual([]);
  });

  it('that may not be read is Unread with the right to add', async () => {
    const { api, around } = await opened(null, 'reader');
    api.grant('reader', { user: 'sluice', rules: [] });
    await expect(around.list(SERVICES)).rejects.toThrow(Unread);
    await expect(around.list(SERVICES)).rejects.toThrow(/resources: \["services"\], verbs: \["list"\]/);
  });

  it('is Unread where the API server fails, and is not asked for again', async () => {
    const { api, around } = await opened();
    api.fail({ verb: 'list', path: 'services', status: 503 });
    for (let look = 0; look < 2; look += 1) await expect(around.list(SERVICES)).rejects.toThrow(/503/);
    expect(api.requests.count('list', 'services')).toBe(1);
  });
});

describe('a right', () => {
  it('is asked of the API server', async () => {
    const { api, around } = await opened(null, 'reader');
    api.grant('reader', {
      user: 'sluice',
      rules: [{ apiGroups: ['networking.istio.io'], resources: ['virtualservices'], verbs: ['get'] }],
    });
    const may = (verb: string) => around.canI(verb, 'networking.istio.io', 'virtualservices', 'production');
    expect([await may('get'), await may('patch'), await may('get')]).toEqual([true, false, true]);
    expect(api.requests.count('create', 'selfsubjectaccessreviews')).toBe(2);
  });
});

describe("the target's object", () => {
  it('comes with the rules that the rollout moves', async () => {
    const { around } = await opened();
    const now = await around.route();
    expect(now).toMatchObject({ place: { kind: 'VirtualService', field: 'http' }, moved: [{ rule: { index: 1 } }] });
  });

  it('is null where it is not there: the router says so', async () => {
    const { api, around } = await opened();
    api.remove('networking.istio.io', 'virtualservices', 'production', 'myapp');
    expect(await around.route()).toBeNull();
  });
});

describe('a query', () => {
  it('goes out once, and its rows are samples', async () => {
    let asked = 0;
    const { around } = await opened(async () => {
      asked += 1;
      return { ok: true, rows: [{ labels: { tag: '1.30.3' }, value: 2 }] };
    });
    await around.query('up');
    expect(await around.query('up')).toEqual([{ labels: { tag: '1.30.3' }, value: 2 }]);
    expect(asked).toBe(1);
  });

  it.each([
    ['there is no Prometheus', null, /cluster west has no Prometheus/],
    ['Prometheus fails', async () => trouble('unavailable', 'Prometheus cannot be reached'), /cannot be reached/],
  ])('is Unread where %s', async (_, query, words) => {
    const { around } = await opened(query);
    await expect(around.query('up')).rejects.toThrow(Unread);
    await expect(around.query('up')).rejects.toThrow(words);
  });
});
