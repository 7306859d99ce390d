/** A cluster whose kubeconfig is kept in another one, as `istioctl create-remote-secret` leaves it there. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenedKube, openKube } from '../../src/adapters/kubernetes/client.ts';
import type { KubeObject, ObjectRef } from '../../src/adapters/kubernetes/kube.ts';
import { kubeconfigIn, type RemoteSecret } from '../../src/adapters/kubernetes/remote-secret.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { virtualService } from '../support/kube-objects.ts';

const SECRET: RemoteSecret = {
  in: 'here',
  namespace: 'istio-system',
  name: 'istio-remote-secret-west',
  key: 'west',
};
const ROUTE: ObjectRef = {
  group: 'networking.istio.io',
  version: 'v1',
  plural: 'virtualservices',
  namespace: 'production',
  name: 'myapp',
};
const READS_ROUTES = [{ apiGroups: ['networking.istio.io'], resources: ['virtualservices'], verbs: ['get'] }];

const secret = (kubeconfig: string, key = 'west'): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: SECRET.name,
      namespace: SECRET.namespace,
      labels: { 'istio/multiCluster': 'true' },
      annotations: { 'networking.istio.io/cluster': key },
    },
    data: { [key]: Buffer.from(kubeconfig).toString('base64') },
  }) as unknown as KubeObject;

let here: KubeApi;
let west: KubeApi;
let holder: OpenedKube;
let client: OpenedKube;

beforeEach(async () => {
  [here, west] = await Promise.all([startKubeApi(), startKubeApi()]);
  west.put(virtualService());
  here.grant('sluice', {
    user: 'sluice',
    rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: [SECRET.name], verbs: ['get'] }],
  });
  holder = await openKube({ cluster: 'here', kubeconfig: here.kubeconfig('sluice'), timeoutMs: 2_000 });
  const kubeconfigFrom = () => kubeconfigIn(holder, SECRET);
  client = await openKube({ cluster: 'west', kubeconfigFrom, timeoutMs: 2_000 });
});
afterEach(async () => {
  for (const kube of [client, holder]) kube?.close();
  await Promise.all([here?.stop(), west?.stop()]);
});

describe('the kubeconfig of a remote secret', () => {
  it('leads to the other cluster, by the right to read that one Secret', async () => {
    here.put(secret(west.kubeconfig()));
    expect(await client.get(ROUTE)).toMatchObject({ ok: true, value: { metadata: { name: 'myapp' } } });
  });

  it('is read again when its credentials are refused: a rotated one needs no restart', async () => {
    west.grant('old', { user: 'reader', rules: READS_ROUTES });
    here.put(secret(west.kubeconfig('old')));
    expect((await client.get(ROUTE)).ok).toBe(true);
    west.revoke('old');
    west.grant('new', { user: 'reader', rules: READS_ROUTES });
    here.put(secret(west.kubeconfig('new')));
    expect(await client.get(ROUTE)).toMatchObject({ ok: true });
  });

  it('that is not there yet is trouble of each call, and none of the start', async () => {
    const first = await client.get(ROUTE);
    expect(first).toMatchObject({
      ok: false,
      code: 'unavailable',
      message: expect.stringMatching(
        /no credentials: .*cluster west.*Secret istio-system\/istio-remote-secret-west of cluster here cannot be read: .*not found/i,
      ),
    });
    here.put(secret(west.kubeconfig()));
    await expect.poll(async () => (await client.get(ROUTE)).ok, { timeout: 20_000 }).toBe(true);
  });

  it('under another key names those that are there', async () => {
    here.put(secret(west.kubeconfig(), 'wild-west'));
    expect(await client.get(ROUTE)).toMatchObject({
      ok: false,
      message: expect.stringMatching(/has no entry "west"; it has wild-west\. Name one in remoteSecret\.key/),
    });
  });
});
