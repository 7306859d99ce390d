/** The service as a real process with a trust policy: what its file says reaches the API, the page and every use case. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { type OidcIssuer, oidcIssuer } from '../support/oidc-issuer.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { planDocument } from '../support/usecases-fake.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const AUDIENCE = 'sluice';
let database: FreshDatabase;
let api: KubeApi;
let idp: OidcIssuer;
let directory: string;
let child: ChildProcess;
let url: string;

const target = planDocument()['target'] as { namespace: string; service: string };

beforeAll(async () => {
  [database, api, idp, directory] = await Promise.all([
    freshDatabase(),
    startKubeApi(),
    oidcIssuer({ audience: AUDIENCE }),
    mkdtemp(join(tmpdir(), 'sluice-trust-')),
  ]);
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const match = { repository_id: '123', ref: 'refs/heads/main' };
  const rule = { name: 'shop', issuer: 'github', match, namespaces: [target.namespace], services: [target.service] };
  const trust = {
    login: { issuer: idp.issuer, clientId: AUDIENCE, roles: [{ group: 'sre', role: 'approver' }] },
    ci: { audience: AUDIENCE, issuers: { github: { kind: 'github', issuer: idp.issuer } }, rules: [rule] },
  };
  await writeFile(join(directory, 'kubeconfig'), api.kubeconfig());
  await writeFile(join(directory, 'trust.yaml'), stringify(trust));
  const env = {
    PATH: process.env['PATH'],
    DATABASE_URL: database.url,
    KUBECONFIG: join(directory, 'kubeconfig'),
    PROMETHEUS_URL: 'http://127.0.0.1:9',
    HOST: '127.0.0.1',
    PORT: String(port),
    SLUICE_PUBLIC_URL: url,
    SLUICE_TRUST_FILE: join(directory, 'trust.yaml'),
  };
  child = spawn(process.execPath, [MAIN, 'api'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  while (!log.includes('Sluice is running')) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${log}`);
    await sleep(50);
  }
});

afterAll(async () => {
  child?.kill('SIGKILL');
  await idp?.close();
  await api?.stop();
  await database?.drop();
  if (directory !== undefined) await rm(directory, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const CLAIMS = {
  repository: 'octo-org/shop',
  repository_id: '123',
  ref: 'refs/heads/main',
  run_id: '9',
  run_attempt: '1',
};
async function asked(path: string, body: unknown, claims: object = {}) {
  const token = await idp.sign({ ...CLAIMS, ...claims });
  const response = await fetch(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as { code?: string; detail?: string } };
}

/** Another's object under the name of our service. */
const disguised = () => ({ ...planDocument(), target: { ...target, virtualService: { name: 'payments' } } });
const elsewhere = () => ({ ...planDocument(), target: { ...target, namespace: 'elsewhere' } });
const fleetOf = (plan: Record<string, unknown>) => {
  const { cluster: _, ...place } = plan['target'] as Record<string, unknown>;
  return { plan: { ...plan, target: place }, waves: [{ clusters: ['default'] }] };
};

it('a pipeline reads, and starts what its rule names: here the cluster refuses, for there is no such route', async () => {
  expect((await asked('/rollouts', undefined)).status).toBe(200);
  for (const [path, body] of [
    ['/rollouts', planDocument()],
    ['/fleet-rollouts', fleetOf(planDocument())],
  ] as const)
    expect([path, (await asked(path, body)).body.code]).toEqual([path, 'preflight_failed']);
});

it.each([
  ['/rollouts', elsewhere()],
  ['/rollouts?dryRun=true', elsewhere()],
  ['/rollouts', disguised()],
  ['/fleet-rollouts', fleetOf(elsewhere())],
  ['/fleet-rollouts', fleetOf(disguised())],
  ['/mesh-migrations', { any: 'thing' }],
  ['/mesh-migrations/mm_1/abort', {}],
])('a pipeline changes nothing beyond its scope: POST %s', async (path, body) => {
  const { status, body: problem } = await asked(path, body);
  expect([status, problem.code]).toEqual([403, 'forbidden']);
  expect(problem.detail).toMatch(/^github octo-org\/shop run 9 attempt 1 may act only in the namespaces /);
});

it('another repository of the same name is nobody', async () => {
  expect(await asked('/rollouts', undefined, { repository_id: '124' })).toMatchObject({
    status: 403,
    body: { code: 'forbidden', detail: expect.stringContaining('repository_id is "124"') },
  });
});

it('a person signs in by the provider', async () => {
  const step = (to: string, cookie = '') => fetch(to, { redirect: 'manual', headers: cookie === '' ? {} : { cookie } });
  const shown = (await (await step(`${url}/ui/session`)).json()) as { signOn: { href: string } };
  const begun = await step(`${url}${shown.signOn.href}`);
  const attempt = (begun.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  const back = await step((await step(begun.headers.get('location') ?? '')).headers.get('location') ?? '', attempt);
  expect([back.status, back.headers.get('location')]).toEqual([303, '/ui/']);
  const session = back.headers.getSetCookie().find((cookie) => cookie.startsWith('sluice=')) ?? '';
  const seen = await step(`${url}/ui/session`, session.split(';')[0]);
  expect(await seen.json()).toMatchObject({ principal: { name: 'user ana@example.com', role: 'approver' } });
});
