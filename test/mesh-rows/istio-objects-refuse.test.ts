/** The seams together: a real client, the real runner and POST /rollouts meet what is wrong around a VirtualService. */
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { inspection } from '../support/inspection.ts';
import { seed } from '../support/surroundings.ts';

const [mirror] = (await seed('virtual-service-mirror')) as [KubeObject];

describe('a rollout of Istio', () => {
  it('is refused for a missing gateway, by name and with the remedy; once it is there the same call is accepted', async () => {
    const world = await inspection();
    const gateway = world.api.get('networking.istio.io', 'gateways', 'production', 'myapp-gateway');
    world.api.remove('networking.istio.io', 'gateways', 'production', 'myapp-gateway');
    const refused = await world.rollOut();
    expect(refused.status).toBe(422);
    const failed = (refused.body.findings ?? []).filter(({ level }: { level: string }) => level === 'fail');
    expect(failed).toMatchObject([
      {
        check: 'gateway.binding',
        message: expect.stringMatching(/Gateway production\/myapp-gateway in spec\.gateways, which does not exist/),
        remediation: expect.stringMatching(/correct spec\.gateways/),
        evidence: { gateway: 'production/myapp-gateway' },
      },
    ]);
    world.put(gateway as KubeObject);
    expect((await world.rollOut()).status).toBe(202);
  });

  it('is told of a second VirtualService, which Istio ignores', async () => {
    const world = await inspection();
    world.put({ ...mirror, metadata: { ...mirror.metadata, name: 'zz-mirror' } });
    const [found] = await world.find('virtualservice.conflict');
    expect(found).toMatchObject({ level: 'warn', evidence: { rival: 'production/zz-mirror' } });
  });
});
