/** Four eyes over the composed service: what the trust policy says of names decides, and what it does not say is asked for. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { application } from '../../src/application.ts';
import { using } from '../contract/store.cases.ts';
import { type Composed, composed, plan } from '../support/composed.ts';
import { silent } from '../support/postgres.ts';
import { quietLog } from '../support/quiet.ts';

let world: Composed;
let app: ReturnType<typeof application>;
const server = createServer((req, res) => app(req, res));
const post = (path: string, body: object, token = world.tokens.admin) =>
  request(server).post(path).set('Authorization', `Bearer ${token}`).send(body);

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const identities = { people: [['ana@example.com', 'github:ana-gh']], kindsDiffer: false };
  world = await composed((path, body) => post(path, body ?? {}), {
    trust: { login: null, ci: null, identities, clientSecret: null },
  });
  const publicUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = { slack: null, trustedProxies: [], metricsOpen: false, publicUrl, sessionKey: null, clusters: [] };
  app = application('all', config, world.service, quietLog);
});
beforeEach(() => world.reset());
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await world?.close();
});

it.each<[string, string, string, number, RegExp]>([
  ['ana, whom the policy joins with the login', 'ana@example.com', 'github:ana-gh', 403, /started it, or had it/],
  ['ben, who is somebody else', 'ben@example.com', 'github:ana-gh', 202, /^$/],
  ['ben, where nobody says who the login is', 'ben@example.com', 'github:cem-gh', 403, /cannot be told .* github:/],
])('an approval of %s', async (_, person, onBehalfOf, status, words) => {
  const db = openDatabase({ url: world.url, log: silent });
  try {
    const steps = [{ weight: 10, hold: '1s', approval: { notBy: 'starter' } }];
    const started = await post('/rollouts', { ...plan, steps, onBehalfOf });
    expect(started.status).toBe(202);
    const store = using(postgresRolloutStore(db, { channels: [], log: silent }));
    await store.move(started.body.id, {
      generation: 1,
      phase: { name: 'progressing', step: 0, reachedAt: 1, from: null, go: null },
    });
    const { token } = await world.service.tokens.create(person, 'approver', null, undefined, { persons: [person] });
    const answered = await post(`/rollouts/${started.body.id}/promote`, {}, token);
    expect(answered.status).toBe(status);
    expect(answered.body.detail ?? '').toMatch(words);
  } finally {
    await db.close();
  }
});
