/** What may be reached, and what is never: by literal, by name, by a resolver that changes its mind, and by redirect. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { boundsOf, parseAllowed } from '../../src/adapters/outbound/addresses.ts';
import { openOutbound, type Posted } from '../../src/adapters/outbound/post.ts';
import { type Receiver, receiver } from '../support/receiver.ts';

const NOTHING = { ranges: [], suffixes: [] };
const LOCAL = { ranges: ['127.0.0.1/32'], suffixes: [] };
const post = { headers: {}, body: '{}', timeout: 2_000 };

const open: Receiver[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});
async function listening(at: Parameters<typeof receiver>[0] = {}): Promise<Receiver> {
  const one = await receiver(at);
  open.push(one);
  return one;
}

/** All of this machine, or of its network, or of the cloud that it runs in. */
const FORMS = [
  '127.0.0.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '127.1',
  '0.0.0.0',
  '0',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:169.254.169.254]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '[2001:0:7f00:1::]',
  '[::127.0.0.1]',
  '[fe80::1]',
  '[fd00:ec2::254]',
  '[fc00::1]',
  '[ff02::1]',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '169.254.169.254',
  '169.254.170.2',
  '192.0.0.192',
  '198.18.0.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
];

describe('an address as it is written', () => {
  it.each(FORMS)('https://%s/ is refused before anything is resolved or connected', async (host) => {
    const resolved: string[] = [];
    const outbound = openOutbound({
      allowed: NOTHING,
      resolve: async (name) => {
        resolved.push(name);
        return [{ address: '127.0.0.1', family: 4 }];
      },
    });
    for (const scheme of ['https', 'http']) {
      const url = `${scheme}://${host}/`;
      expect(outbound.objection(url)).not.toBeNull();
      expect(await outbound.post(url, post)).toMatchObject({ ok: false, code: 'out_of_bounds' });
    }
    expect(resolved).toEqual([]);
  });

  it.each([
    ['file:///etc/passwd'],
    ['gopher://example.com/'],
    ['ftp://example.com/'],
    ['https://user:password@example.com/'],
    ['http://example.com/'],
    ['example.com'],
    [''],
  ])('%s is refused', async (url) => {
    const outbound = openOutbound({ allowed: NOTHING });
    const against = outbound.objection(url);
    expect(against).not.toBeNull();
    expect(against).not.toContain('password@');
    expect(await outbound.post(url, post)).toMatchObject({ ok: false, code: 'out_of_bounds' });
  });

  it.each(['https://1.1.1.1/', 'https://[2606:4700:4700::1111]/', 'https://example.com/x?y=z', 'https://172.32.0.1/'])(
    '%s may be asked',
    (url) => {
      expect(openOutbound({ allowed: NOTHING }).objection(url)).toBeNull();
    },
  );

  it('no address of IPv4 that is refused gets through in the clothes of IPv6', () => {
    const bounds = boundsOf(NOTHING);
    const v4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
    fc.assert(
      fc.property(v4, (parts) => {
        const address = parts.join('.');
        expect(bounds.address(`::ffff:${address}`, 'x')).toBe(false);
        if (parts[0] === 127 || parts[0] === 10) expect(bounds.address(address, 'x')).toBe(false);
      }),
    );
  });
});

describe('a name', () => {
  it.each([[['127.0.0.1']], [['169.254.169.254']], [['1.1.1.1', '10.0.0.1']], [['::1']], [['::ffff:10.0.0.1']]])(
    'that resolves to %j is refused as a whole',
    async (addresses) => {
      const outbound = openOutbound({
        allowed: NOTHING,
        resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      });
      const posted = await outbound.post('https://hooks.example.com/', post);
      expect(posted).toMatchObject({ ok: false, code: 'out_of_bounds' });
      expect((posted as { message: string }).message).toContain('hooks.example.com');
    },
  );

  it('is resolved once, and connected to what was checked: a resolver that changes its mind gains nothing', async () => {
    const good = await listening();
    const inside = await listening({ host: '127.0.0.2', port: good.port });
    const answers = ['127.0.0.1', '127.0.0.2', '127.0.0.2'];
    let asked = 0;
    const outbound = openOutbound({
      allowed: { ranges: ['127.0.0.1/32'], suffixes: ['hooks.example.com'] },
      resolve: async () => [{ address: answers[asked++] ?? '127.0.0.2', family: 4 }],
    });
    const url = `http://hooks.example.com:${good.port}/`;
    expect(await outbound.post(url, post)).toMatchObject({ ok: true, status: 204 });
    expect(asked).toBe(1);
    expect(good.got[0]?.headers.host).toBe(`hooks.example.com:${good.port}`);
    expect(await outbound.post(url, post)).toMatchObject({ ok: false, code: 'out_of_bounds' });
    expect(asked).toBe(2);
    expect(inside.got).toEqual([]);
  });

  it('without an address, and one that cannot be resolved, cannot be reached', async () => {
    const none = openOutbound({ allowed: NOTHING, resolve: async () => [] });
    expect(await none.post('https://hooks.example.com/', post)).toMatchObject({ ok: false, code: 'unreachable' });
    const failing = openOutbound({
      allowed: NOTHING,
      resolve: async () => await Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
    });
    expect(await failing.post('https://hooks.example.com/', post)).toEqual({
      ok: false,
      code: 'unreachable',
      message: 'hooks.example.com cannot be reached (ENOTFOUND)',
    });
  });
});

describe('what the installation allows', () => {
  const bounds = boundsOf({ ranges: ['10.20.0.0/16', 'fd00:1::/32'], suffixes: ['.production.svc'] });

  it.each([
    ['10.20.3.4', 'x', true],
    ['10.21.3.4', 'x', false],
    ['fd00:1::5', 'x', true],
    ['fd00:2::5', 'x', false],
    ['10.96.0.7', 'gate.production.svc', true],
    ['10.96.0.7', 'GATE.PRODUCTION.SVC.', true],
    ['10.96.0.7', 'gate.production.svc.example.com', false],
    ['10.96.0.7', 'evilproduction.svc', false],
    ['127.0.0.1', 'gate.production.svc', false],
    ['169.254.169.254', 'gate.production.svc', false],
    ['::1', 'gate.production.svc', false],
  ])('%s as %s: %s', (address, host, may) => {
    expect(bounds.address(address, host)).toBe(may);
  });

  it('named hosts may be asked without TLS, others not', () => {
    const outbound = openOutbound({ allowed: { ranges: ['10.20.0.0/16'], suffixes: ['.production.svc'] } });
    expect(outbound.objection('http://gate.production.svc/')).toBeNull();
    expect(outbound.objection('http://10.20.0.1/')).toBeNull();
    expect(outbound.objection('http://hooks.example.com/')).toContain('SLUICE_WEBHOOK_ALLOW');
  });

  it('is ranges and names, and says what is neither', () => {
    const entries = [
      '10.0.0.0/8',
      '.svc.cluster.local',
      'gate.web',
      'fd00::/8',
      '10.0.0.0/40',
      '10.0.0.1',
      'a b',
      '*.x',
    ];
    expect(parseAllowed(entries)).toEqual({
      ranges: ['10.0.0.0/8', 'fd00::/8'],
      suffixes: ['.svc.cluster.local', 'gate.web'],
      wrong: ['10.0.0.0/40', '10.0.0.1', 'a b', '*.x'],
    });
  });
});

describe('the answer', () => {
  const outbound = openOutbound({ allowed: LOCAL });

  it('of a redirect is the redirect: nobody is asked where it leads', async () => {
    const target = await listening();
    const door = await listening();
    door.answer = () => ({ status: 302, headers: { location: target.url } });
    expect(await outbound.post(door.url, post)).toMatchObject({ ok: true, status: 302 });
    expect(target.got).toEqual([]);
  });

  it('is read up to 8 KiB, and no further', async () => {
    const one = await listening();
    one.answer = () => ({ status: 200, body: 'x'.repeat(8 * 1024) });
    expect(await outbound.post(one.url, post)).toMatchObject({ ok: true, text: 'x'.repeat(8 * 1024) });
    one.answer = () => ({ status: 200, body: 'x'.repeat(8 * 1024 + 1) });
    expect(await outbound.post(one.url, post)).toMatchObject({ ok: false, code: 'too_large' });
  });

  it('that does not come is waited for no longer than was said', async () => {
    const one = await listening();
    one.answer = () => null;
    const posted: Posted = await outbound.post(one.url, { ...post, timeout: 100 });
    expect(posted).toEqual({
      ok: false,
      code: 'timeout',
      message: `127.0.0.1:${one.port} did not answer within 0.1 s`,
    });
  });

  it.each([
    ['7', 7_000],
    ['0', 0],
    ['soon', null],
    ['-3', null],
  ])('with Retry-After: %s', async (said, retryAfter) => {
    const one = await listening();
    one.answer = () => ({ status: 429, headers: { 'retry-after': said } });
    expect(await outbound.post(one.url, post)).toMatchObject({ status: 429, retryAfter });
  });

  it('of nobody names the host, and never the path', async () => {
    const one = await listening();
    await one.close();
    open.length = 0;
    const posted = await outbound.post(`${one.url}?sig=secret`, post);
    expect(posted).toMatchObject({ ok: false, code: 'unreachable' });
    expect(JSON.stringify(posted)).not.toContain('secret');
  });
});
