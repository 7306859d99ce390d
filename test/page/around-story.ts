/** What stands around the rollouts of a morning: other tools that show them, and channels that were told. */
import { grafanaLinks } from '../../src/adapters/grafana/links.ts';
import { jaegerLinks } from '../../src/adapters/jaeger/links.ts';
import { kialiLinks } from '../../src/adapters/kiali/links.ts';
import { done, refused } from '../../src/app/audit/act.ts';
import type { LoggedDelivery } from '../../src/app/ports.ts';
import type { Story } from './story.ts';
import type { World } from './world.ts';

const GRAFANA = {
  url: 'https://grafana.example.com/d/abc/canary?orgId=1',
  variables: { namespace: 'namespace', canary: 'workload' },
};

/** Kiali, Jaeger and Grafana, as compose.ts puts them together. */
export const withTools = ({ fake }: Pick<World, 'fake'>): void =>
  void Object.assign(fake, {
    outside: ({ id, plan: { target }, createdAt, phase }: Parameters<NonNullable<World['fake']['outside']>>[0]) => {
      const until = phase.name === 'ended' ? phase.at : null;
      return {
        kiali: kialiLinks({ url: 'https://kiali.example.com', objectPath: 'gvk' }, target),
        jaeger: jaegerLinks('https://jaeger.example.com', target, createdAt, until),
        grafana: grafanaLinks(GRAFANA, { id, target }, createdAt, until),
      };
    },
  });

const doer = (name: string, via: 'cli' | 'page') => ({
  id: `token:${name}`,
  name: `token ${name}`,
  origin: { via, address: '192.0.2.7', userAgent: 'sluice-cli/0.1.0', requestId: 'req_4k1' },
});

/** One who may not promote tried to; another sent a message again. */
export async function asked({ fake }: Pick<World, 'fake'>, { waiting, failed }: Story): Promise<void> {
  const { audit } = fake;
  await audit.note(refused(doer('ben', 'cli'), { action: 'rollout.promote', id: waiting, code: 'forbidden' }));
  await audit.note(done(doer('ana', 'page'), { action: 'delivery.resend', id: `ops:${failed}:14` }));
}

/** Of the rollout that went back: the operators were told, the ticket system never answered as it should. */
export function told({ deliveries }: Pick<World, 'deliveries'>, { failed }: Story, now = Date.now()): void {
  const at = now - 52 * 60_000;
  const fact = {
    seq: 14,
    type: 'rollback_started',
    message: "Rolled back at 25 %: the canary's errors are above the limit",
  } as const;
  const common = {
    about: { kind: 'rollout', id: failed } as const,
    fact,
    createdAt: at,
    nextAt: null,
    deliveredAt: null,
    deadAt: null,
    lastError: null,
  };
  const ops: LoggedDelivery = {
    ...common,
    id: `ops:${failed}:14`,
    channel: 'ops',
    state: 'delivered',
    attempts: 1,
    deliveredAt: at + 120,
    log: [{ attempt: 1, at: at + 90, took: 31, status: 204, delivered: true, message: '', excerpt: '' }],
  };
  const tickets: LoggedDelivery = {
    ...common,
    id: `tickets:${failed}:14`,
    channel: 'tickets',
    state: 'dead',
    attempts: 84,
    deadAt: at + 1_000,
    lastError: 'it answers with 404',
    log: [
      {
        attempt: 83,
        at: at + 400,
        took: 18,
        status: null,
        delivered: false,
        message: 'connection refused',
        excerpt: '',
      },
      {
        attempt: 84,
        at: at + 900,
        took: 12,
        status: 404,
        delivered: false,
        message: 'it answers with 404',
        excerpt: 'no such hook',
      },
    ],
  };
  deliveries.items.push(ops, tickets);
}
