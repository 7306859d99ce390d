/** Real processes, killed without warning at every place between the steps of a tick. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stampOn } from '../../src/adapters/routes/decision.ts';
import { compose, type Service, type Settings } from '../../src/compose.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { compareStamps, isLive, statusOf } from '../../src/domain/rollout.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { weightsOf } from '../simulation/invariants.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';

const PRINCIPAL = { id: 't', name: 'token test', role: 'admin' as const };
let database: FreshDatabase;
let api: KubeApi;
let settings: Settings;
let service: Service;
const children = new Set<ChildProcess>();

const deployment = (name: string) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'production', generation: 1 },
  spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } } } },
  status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 },
});

const route = (name: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'production' },
  spec: {
    hosts: [name],
    http: [
      {
        name: 'api',
        route: [
          { destination: { host: name, subset: 'v1' }, weight: 100 },
          { destination: { host: name, subset: 'v2' }, weight: 0 },
        ],
      },
    ],
  },
});

const subsets = (name: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name, namespace: 'production' },
  spec: {
    host: name,
    subsets: [
      { name: 'v1', labels: { version: 'v1' } },
      { name: 'v2', labels: { version: 'v2' } },
    ],
  },
});

const plan = (name: string) => ({
  target: {
    namespace: 'production',
    service: name,
    mesh: 'istio',
    virtualService: { name },
    stable: { host: name, subset: 'v1', deployment: 'stable' },
    canary: { host: name, subset: 'v2', deployment: 'canary' },
  },
  steps: [
    { weight: 10, hold: '300ms' },
    { weight: 50, hold: '300ms' },
  ],
  analysis: { interval: '1s', evidence: { mode: 'off' }, checks: [] },
});

beforeAll(async () => {
  [database, api] = await Promise.all([freshDatabase(), startKubeApi()]);
  api.put({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'production', labels: { 'istio-injection': 'enabled' } },
  });
  for (const name of ['stable', 'canary']) api.put(deployment(name));
  settings = {
    databaseUrl: database.url,
    queue: { kind: 'postgres', url: database.url },
    clusters: [
      {
        name: 'default',
        kube: { kubeconfig: api.kubeconfig() },
        prometheus: { url: 'http://127.0.0.1:9', timeoutMs: 200 },
      },
    ],
    concurrency: 4,
    retention: null,
    slack: null,
    publicUrl: null,
  };
  service = await compose(settings, { log: quietLog, recorder: () => deafRecorder });
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await service?.close();
  await api?.stop();
  await database?.drop();
});

async function worker(place: string, nth: number): Promise<ChildProcess> {
  const script = new URL('../support/crash-worker.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, JSON.stringify({ settings, place, nth })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  await once(child.stdout as NodeJS.EventEmitter, 'data');
  return child;
}

async function begin(name: string): Promise<string> {
  api.put(route(name));
  api.put(subsets(name));
  const started = await service.useCases.start(plan(name), PRINCIPAL, null);
  if (started.kind !== 'created') throw new Error(JSON.stringify(started));
  return started.rollout.id;
}

async function ended(id: string): Promise<Rollout> {
  const until = Date.now() + 55_000;
  for (;;) {
    const rollout = await service.useCases.get(id);
    if (rollout !== null && !isLive(rollout)) return rollout;
    if (Date.now() > until) throw new Error(`still ${rollout === null ? 'absent' : JSON.stringify(rollout.phase)}`);
    await sleep(50);
  }
}

interface Written {
  readonly metadata: { readonly name: string; readonly generation: number };
}

/** Those of weights: how a rollout ended is said beside them, and moves no generation. */
const ours = (name: string) =>
  api.journal.filter(({ fieldManager, before, after }) => {
    const [was, is] = [before, after] as unknown as [Written | null, Written | null];
    return (
      fieldManager === 'sluice' && is?.metadata.name === name && is.metadata.generation !== was?.metadata.generation
    );
  });

/** Early and in the middle; the places between commit and effect also in the third tick. */
const DEATHS = [
  ['loaded', 2],
  ['observed', 2],
  ['committed', 1],
  ['committed', 3],
  ['applied', 1],
  ['applied', 2],
  ['recorded', 1],
] as const;

it.each(DEATHS)(
  'a worker killed at "%s" (time %i) loses no step, repeats none, and leaves the fence in order',
  async (place, nth) => {
    const name = `app-${place}-${nth}`;
    const id = await begin(name);
    const first = await worker(place, nth);
    const [, signal] = (await once(first, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGKILL');
    const second = await worker('none', 0);
    const rollout = await ended(id);
    second.kill('SIGKILL');
    expect(statusOf(rollout)).toBe('succeeded');

    const writes = ours(name).map(({ after }) => after as never);
    const weights = writes.map((after) => weightsOf(after).canary);
    expect(weights).toEqual([10, 50, 100]);
    const stamps = writes.map((after) => stampOn(after));
    stamps.forEach((stamp, i) => {
      const before = stamps[i - 1];
      if (stamp === null) throw new Error('a write without a stamp');
      if (before !== undefined && before !== null) expect(compareStamps(stamp, before)).toBeGreaterThan(0);
    });

    const facts = await service.useCases.facts(id, 0, 1000);
    expect(facts.map((f) => f.seq)).toEqual(facts.map((_, i) => i + 1));
    const reached = facts.filter((f) => f.type === 'weight_reached');
    expect(reached.map((f) => f.data['weight'])).toEqual([10, 50, 100]);
    const wanted = facts.filter((f) => f.type === 'weight_wanted');
    // No hold was shortened: the next weight was wanted only after the one before had been read back for that long.
    reached.slice(0, 2).forEach((fact, i) => {
      expect((wanted[i + 1]?.at ?? 0) - fact.at).toBeGreaterThanOrEqual(300);
    });
  },
  120_000,
);

it('an abort while the worker is dead is carried out when one comes back', { timeout: 120_000 }, async () => {
  const name = 'app-abort';
  const id = await begin(name);
  const first = await worker('applied', 1);
  await once(first, 'exit');
  const result = await service.useCases.command(id, { name: 'abort', reason: 'test' }, PRINCIPAL, {});
  expect(result.kind).toBe('done');
  const second = await worker('none', 0);
  expect(statusOf(await ended(id))).toBe('aborted');
  second.kill('SIGKILL');
  const last = ours(name).at(-1)?.after as never;
  expect(weightsOf(last).canary).toBe(0);
});
