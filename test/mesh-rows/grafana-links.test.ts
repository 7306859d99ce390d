/** Links to a dashboard of Grafana: pure, in the rollout as REST has it, and only http on the page. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grafanaLinks } from '../../src/adapters/grafana/links.ts';
import { harness } from '../http/harness.ts';
import { aPlan } from '../support/builders.ts';

const { target } = aPlan();
const rollout = { id: 'ro_1', target };
const pages = {
  url: 'https://grafana.example.com/d/abc/canary?orgId=1&var-datasource=mimir',
  variables: { namespace: 'ns', canary: 'workload', rollout: 'ro' },
};

describe('the address of a dashboard', () => {
  it('has the time and the variables, and keeps what it had', () => {
    expect(grafanaLinks(pages, rollout, 1_700_000_000_000, 1_700_000_600_000).dashboard).toBe(
      'https://grafana.example.com/d/abc/canary?orgId=1&var-datasource=mimir&var-ns=production&var-workload=myapp-v2&var-ro=ro_1&from=1700000000000&to=1700000600000',
    );
  });

  it('goes on until now while the rollout does', () => {
    expect(new URL(grafanaLinks(pages, rollout, 1_000, null).dashboard).searchParams.get('to')).toBe('now');
  });

  it('shows no password', () => {
    const url = 'https://ana:hidden@grafana.example.com/d/abc';
    expect(grafanaLinks({ ...pages, url }, rollout, 0, null).dashboard).toMatch(
      /^https:\/\/grafana\.example\.com\/d\/abc\?/,
    );
  });

  it('says every value as it is, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (namespace, service) => {
        fc.pre(namespace.isWellFormed() && service.isWellFormed());
        const variables = { namespace: 'ns', service: 'svc', stable: 'old', cluster: 'cl' };
        const asked = { id: 'ro_1', target: { ...target, namespace, service } };
        const { searchParams } = new URL(grafanaLinks({ url: pages.url, variables }, asked, 5, 6).dashboard);
        expect(Object.fromEntries(searchParams)).toEqual({
          orgId: '1',
          'var-datasource': 'mimir',
          'var-cl': 'default',
          'var-ns': namespace,
          'var-svc': service,
          'var-old': 'myapp-v1',
          from: '5',
          to: '6',
        });
      }),
    );
  });
});

it('is in the rollout as REST has it, and absent where there is no Grafana', async () => {
  const h = await harness();
  const id = await h.started();
  expect((await h.call('get', `/rollouts/${id}`)).body.links).not.toHaveProperty('grafana');
  const grafana = grafanaLinks(pages, rollout, 0, null);
  Object.assign(h.fake, { outside: () => ({ kiali: null, jaeger: null, grafana }) });
  expect((await h.call('get', `/rollouts/${id}`)).body.links.grafana).toEqual(grafana);
});

it.each([
  ['https://grafana.example.com/d/abc?to=now', ['Grafana: dashboard']],
  ['javascript:alert(1)', []],
])('the page leads to %s by %j', async (dashboard, labels) => {
  const file = new URL('../../src/page/links.js', import.meta.url).href;
  const { toolLinks } = (await import(file)) as { toolLinks(rollout: object): { label: string }[] };
  expect(toolLinks({ links: { grafana: { dashboard } } }).map(({ label }) => label)).toEqual(labels);
});
