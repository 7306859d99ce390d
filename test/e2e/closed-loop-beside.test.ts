/** Pods and subsets beside the route, with real pods and proxies: there before users, gone after them, whoever is killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { DEPLOYMENTS } from '../../src/sandbox/app.ts';
import { AUTOSCALERS, SCALED_OBJECTS } from '../../src/sandbox/autoscaler.ts';
import type { Kind } from '../../src/sandbox/data-plane/api.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { RolloutView, Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import { NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import type { Loop } from './closed-loop.ts';
import { plan, startLoop } from './closed-loop.ts';

const RULES: Kind = { apiVersion: 'networking.istio.io/v1', plural: 'destinationrules' };
const CANARY = 'myapp-v2';
const NOTES = ['sluice.dev/scale', 'sluice.dev/subsets'];
const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: CANARY };

describe('what stands beside the route', () => {
  let loop: Loop;
  let service: Service;
  beforeAll(async () => {
    loop = await startLoop('istio');
    service = await loop.service('postgres');
  }, 90_000);
  afterAll(async () => {
    await service?.stop();
    await loop?.stop();
  });

  const api = () => openApi(loop.sandbox.kubeApiUrl, NAMESPACE, 'test');
  const specOf = async (kind: Kind, name: string): Promise<Record<string, unknown>> =>
    ((await api().get(kind, name)).spec ?? {}) as Record<string, unknown>;
  const replicas = async (): Promise<unknown> => (await specOf(DEPLOYMENTS, CANARY))['replicas'];
  const subsets = async (): Promise<readonly string[]> =>
    ((await specOf(RULES, 'myapp'))['subsets'] as { name: string }[]).map(({ name }) => name);
  const notesOn = ({ metadata }: KubeObject): readonly string[] =>
    NOTES.filter((note) => metadata.annotations?.[note] !== undefined);
  const untilPods = async (wanted: number): Promise<void> => {
    await api().merge(DEPLOYMENTS, CANARY, { spec: { replicas: wanted } });
    await expect
      .poll(async () => (await api().get(DEPLOYMENTS, CANARY)).status, { timeout: 10_000 })
      .toMatchObject({ readyReplicas: wanted, replicas: wanted });
  };
  const started = (steps: readonly object[]): Promise<RolloutView> =>
    service.start({
      ...plan(loop.sandbox),
      steps,
      analysis: { interval: '1s', evidence: { mode: 'off' }, checks: [] },
    });
  const ended = async (id: string): Promise<RolloutView> => {
    let rollout = await service.get(id);
    while (!TERMINAL.has(rollout.status)) rollout = await service.next(id, rollout.version, 20);
    return rollout;
  };
  const factOf = async (id: string, type: string, step: number): Promise<void> => {
    while (!(await service.events(id)).some((fact) => fact.type === type && fact.step === step)) await sleep(50);
  };

  it('the canary has its pods before its weight, and after an abort as many as before', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:scaled');
    await untilPods(2);
    const { id } = await started([
      { scale: { replicas: 4 }, hold: '0s' },
      { weight: 50, hold: '1m' },
    ]);
    await factOf(id, 'weight_reached', 1);
    expect((await api().get(DEPLOYMENTS, CANARY)).status).toMatchObject({ readyReplicas: 4 });
    const types = (await service.events(id)).map(({ type }) => type);
    expect(types.indexOf('preparation_in_place')).toBeLessThan(types.lastIndexOf('weight_wanted'));
    await service.abort(id);
    const rollout = await ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('aborted');
    expect(await replicas()).toBe(2);
    expect(await loop.sandbox.weight()).toBe(0);
  });

  it('a HorizontalPodAutoscaler is not fought: its minimum is raised, and put back after the promotion', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:autoscaled');
    await untilPods(2);
    const metadata = { name: CANARY, namespace: NAMESPACE };
    const spec = { scaleTargetRef, minReplicas: 2, maxReplicas: 6 };
    await api().create(AUTOSCALERS, {
      apiVersion: AUTOSCALERS.apiVersion,
      kind: 'HorizontalPodAutoscaler',
      metadata,
      spec,
    });
    const { id } = await started([
      { scale: { percent: 200 }, hold: '0s' },
      { weight: 50, hold: '1s' },
    ]);
    await factOf(id, 'weight_reached', 1);
    expect(await replicas()).toBe(4);
    const rollout = await ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(notesOn(await api().get(AUTOSCALERS, CANARY))).toEqual([]);
    expect(await specOf(AUTOSCALERS, CANARY)).toEqual(spec);
    expect(await replicas()).toBe(4);
    await api().remove(AUTOSCALERS, CANARY);
  });

  it('with KEDA its ScaledObject is written, which the autoscaler follows', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:keda');
    await untilPods(2);
    const metadata = { name: CANARY, namespace: NAMESPACE };
    const spec = { scaleTargetRef: { name: CANARY }, minReplicaCount: 2, maxReplicaCount: 6, triggers: [] };
    await api().create(SCALED_OBJECTS, { apiVersion: SCALED_OBJECTS.apiVersion, kind: 'ScaledObject', metadata, spec });
    const { id } = await started([
      { scale: { replicas: 3 }, hold: '0s' },
      { weight: 50, hold: '1m' },
    ]);
    await factOf(id, 'weight_reached', 1);
    expect(await specOf(AUTOSCALERS, `keda-hpa-${CANARY}`)).toMatchObject({ minReplicas: 3 });
    expect(await replicas()).toBe(3);
    await service.abort(id);
    expect((await ended(id)).status).toBe('aborted');
    expect(await specOf(SCALED_OBJECTS, CANARY)).toEqual(spec);
    expect(notesOn(await api().get(SCALED_OBJECTS, CANARY))).toEqual([]);
    await api().remove(SCALED_OBJECTS, CANARY);
    await api().remove(AUTOSCALERS, `keda-hpa-${CANARY}`);
  });

  it('a plan that asks for more than the autoscaler may have is refused, and nothing is written', {
    timeout: 60_000,
  }, async () => {
    await loop.sandbox.release('myapp:refused');
    await untilPods(2);
    const metadata = { name: CANARY, namespace: NAMESPACE };
    const spec = { scaleTargetRef, minReplicas: 1, maxReplicas: 3 };
    await api().create(AUTOSCALERS, {
      apiVersion: AUTOSCALERS.apiVersion,
      kind: 'HorizontalPodAutoscaler',
      metadata,
      spec,
    });
    const before = (await api().get(AUTOSCALERS, CANARY)).metadata.resourceVersion;
    const steps = [{ scale: { replicas: 9 } }, { weight: 50 }];
    await expect(started(steps)).rejects.toThrow(/raise spec.maxReplicas to at least 9/);
    expect((await api().get(AUTOSCALERS, CANARY)).metadata.resourceVersion).toBe(before);
    await api().remove(AUTOSCALERS, CANARY);
  });

  it('a missing subset is defined before users are led to it, though the worker is killed, and goes after a rollback', {
    timeout: 120_000,
  }, async () => {
    await loop.sandbox.release('myapp:subset');
    // Only the rule that is moved names the canary: nothing else leads to its subset.
    const route = await api().get(SEEDS.istio.route.kind, SEEDS.istio.route.name);
    const { http } = route.spec as { http: readonly { readonly name?: string }[] };
    await api().merge(SEEDS.istio.route.kind, SEEDS.istio.route.name, {
      spec: { http: http.filter(({ name }) => name !== 'testers') },
    });
    await api().merge(RULES, 'myapp', { spec: { subsets: [{ name: 'v1', labels: { version: 'v1' } }] } });
    const before = loop.sandbox.users();
    const { id } = await started([
      { ensureSubset: { settle: '3s' }, hold: '0s' },
      { scale: { replicas: 3 }, hold: '0s' },
      { weight: 50, hold: '1m' },
    ]);
    await factOf(id, 'preparation_wanted', 0);
    await service.kill();
    await service.restart();
    await factOf(id, 'weight_reached', 2);
    expect(await subsets()).toEqual(['v1', 'v2']);
    expect(notesOn(await api().get(RULES, 'myapp'))).toEqual(['sluice.dev/subsets']);
    await sleep(1_000);
    expect(loop.sandbox.users().failed - before.failed).toBe(0);
    await service.abort(id);
    await factOf(id, 'rollback_started', 2);
    await service.kill();
    await service.restart();
    const rollout = await ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('aborted');
    expect(await subsets()).toEqual(['v1']);
    expect(notesOn(await api().get(RULES, 'myapp'))).toEqual([]);
    await expect.poll(replicas, { timeout: 5_000 }).toBe(2);
    expect(await loop.sandbox.weight()).toBe(0);
    expect(loop.sandbox.users().failed - before.failed).toBe(0);
  });
});
