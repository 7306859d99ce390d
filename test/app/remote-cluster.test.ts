import { expect, it } from 'vitest';
import { dryRun, start } from '../../src/app/start.ts';
import { fakeUseCases, planDocument } from '../support/usecases-fake.ts';

const ana = { id: 'tok_1', name: 'ana', role: 'admin' } as const;

it('a remote cluster is no write target: 422 at the field, with the primary to name instead', async () => {
  const { startPorts, store } = fakeUseCases();
  const ports = { ...startPorts, clusters: ['east', 'edge'], remotes: new Map([['edge', ['east']]]) };
  const target = planDocument()['target'] as object;
  const plan = (cluster: string) => planDocument({ target: { ...target, cluster } });
  const refused = await start(ports, { document: plan('edge'), principal: ana, idempotency: null });
  expect(refused).toMatchObject({
    kind: 'invalid',
    problems: [
      { pointer: '/target/cluster', code: 'remote_cluster', message: expect.stringContaining('primary: east') },
    ],
  });
  expect((await dryRun(ports, plan('edge'), ana)).kind).toBe('invalid');
  expect((await store.list({}, 10, null)).items).toEqual([]);
  expect((await start(ports, { document: plan('east'), principal: ana, idempotency: null })).kind).toBe('created');
});
