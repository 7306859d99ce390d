/** What the checks find in the sandbox's cluster, through the real client: nothing stands in the demo's way. */
import { afterAll, expect, it } from 'vitest';
import { openKube } from '../../src/adapters/kubernetes/client.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { MESHES } from '../../src/sandbox/seeds.ts';
import { inspected } from '../support/inspect-target.ts';

const meshes = await loadMeshes();
const stops: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

it.each(MESHES)('no check refuses a rollout in the sandbox of %s, and its mesh is found installed', async (mesh) => {
  const sandbox = await startSandbox({ mesh });
  stops.push(() => sandbox.stop());
  const kube = await openKube({ cluster: 'default', kubeconfigFile: sandbox.kubeconfig });
  stops.push(async () => kube.close());
  const found = await inspected(meshFor(meshes, mesh).target.parse(sandbox.target), kube);
  const refusing = found.filter(({ level }) => level === 'fail');
  expect(refusing.map(({ check, message }) => `${check}: ${message}`)).toEqual([]);
  const passed = found.filter(({ level }) => level === 'pass').map(({ check }) => check);
  expect(passed).toEqual(
    expect.arrayContaining([
      'mesh.installed',
      'mesh.version',
      'injection.namespace',
      'injection.pods',
      'sidecar.resources',
    ]),
  );
});
