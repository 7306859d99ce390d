import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/config.ts';
import { ROOT } from '../support/chart.ts';

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly user?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly networks: readonly string[];
  readonly volumes?: readonly unknown[];
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly privileged?: boolean;
  readonly healthcheck?: object;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
const example = readFileSync(join(ROOT, '.env.example'), 'utf8');
const { services, networks } = parse(text, { merge: true }) as {
  services: Readonly<Record<string, Service>>;
  networks: Readonly<Record<string, { readonly internal?: boolean }>>;
};
const each = Object.entries(services);
const variables = [...text.matchAll(/\$\{([A-Z_]+)(:?[-?][^}]*)?\}/g)].map(([, name = '', more = '']) => ({
  name,
  more,
}));

/** The values of .env: each line `NAME=value`. */
const env = Object.fromEntries(
  example
    .split('\n')
    .filter((line) => /^[A-Z_]+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
);

const filled = {
  ...env,
  POSTGRES_PASSWORD: 'pg0123',
  POSTGRES_APP_PASSWORD: 'app0123',
  REDIS_PASSWORD: 'rd0123',
  KUBECONFIG_FILE: '/k',
  PROMETHEUS_URL: 'http://prometheus:9090',
};
const interpolated = (value: string): string =>
  value.replaceAll(
    /\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)?\}/g,
    (_, name: keyof typeof filled, fallback?: string) => filled[name] || (fallback ?? ''),
  );

describe('docker-compose.yml', () => {
  it('has every part, each with a health check of its own or of the image', () => {
    expect(each.map(([name]) => name)).toEqual(['api', 'worker', 'migrate', 'postgres', 'redis', 'prometheus']);
    for (const name of ['postgres', 'redis', 'prometheus'])
      expect([name, services[name]?.healthcheck]).toEqual([name, expect.objectContaining({ test: expect.anything() })]);
  });

  it.each(each)('%s cannot write its image, raise its rights, or be reached from other machines', (_, service) => {
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(service.privileged).toBeUndefined();
    expect(service.user ?? '10001').not.toMatch(/^(0|root)\b/);
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(JSON.stringify(service.volumes ?? [])).not.toContain('docker.sock');
    expect(service.image).toMatch(/:[^:]+$/);
    expect(service.image).not.toMatch(/:latest$/);
  });

  it('has no password that works anywhere else: they must be made up', () => {
    for (const { name, more } of variables.filter((v) => v.name.endsWith('PASSWORD')))
      expect([name, more]).toEqual([name, expect.stringMatching(/^:\?/)]);
    expect(env['POSTGRES_PASSWORD']).toBe('');
    expect(env['POSTGRES_APP_PASSWORD']).toBe('');
    expect(env['REDIS_PASSWORD']).toBe('');
    // No address with a password in the open, and no switch that lets everybody in.
    expect(text).not.toMatch(/:\/\/[^\s:/]*:[^$\s][^\s@]*@/);
    expect(text).not.toMatch(/HOST_AUTH_METHOD|trust|protected-mode/);
  });

  it('takes from .env what .env.example explains, and nothing else', () => {
    expect([...new Set(variables.map(({ name }) => name))].toSorted()).toEqual(Object.keys(env).toSorted());
  });

  it('gives the service settings that it reads', () => {
    const { environment = {} } = services['api'] ?? {};
    const given = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, interpolated(value)]));
    const read = readConfig({ ...given, KUBECONFIG: import.meta.filename });
    expect(read).toMatchObject({
      ok: true,
      config: { slack: null, metricsOpen: true, redisUrl: 'redis://:rd0123@redis:6379' },
    });
    expect(services['worker']?.environment).toEqual(environment);
  });

  it('starts what others need first: migrations once, before the service', () => {
    for (const name of ['api', 'worker'])
      expect(services[name]?.depends_on).toEqual({
        migrate: { condition: 'service_completed_successfully' },
        postgres: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
    expect(services['migrate']?.depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
  });

  it('works as a role that owns no table: only the migrations log in as the owner', () => {
    const { environment: migrations = {} } = services['migrate'] ?? {};
    const userOf = (address = ''): string => new URL(interpolated(address)).username;
    expect([migrations['DATABASE_OWNER_URL'], migrations['DATABASE_URL']].map(userOf)).toEqual([
      'sluice',
      'sluice_app',
    ]);
    for (const name of ['api', 'worker']) {
      const { environment = {} } = services[name] ?? {};
      expect([environment['DATABASE_OWNER_URL'], userOf(environment['DATABASE_URL'])]).toEqual([
        undefined,
        'sluice_app',
      ]);
    }
    expect(services['postgres']?.volumes).toContain('./deploy/postgres:/docker-entrypoint-initdb.d:ro');
    const script = readFileSync(join(ROOT, 'deploy/postgres/application-role.sh'), 'utf8');
    expect(script).toContain("create role sluice_app login password :'password'");
    expect(services['postgres']?.environment).toHaveProperty('APPLICATION_PASSWORD');
  });

  it('keeps Redis from dropping keys, and the data of both servers through a restart', () => {
    expect(services['redis']?.command?.join(' ')).toContain(
      '--appendonly yes --maxmemory-policy noeviction --requirepass',
    );
    expect(services['redis']?.volumes).toContain('redis:/data');
    expect(services['postgres']).toMatchObject({
      image: 'postgres:18-bookworm',
      volumes: expect.arrayContaining(['postgres:/var/lib/postgresql']),
    });
  });

  it('lets the servers that hold data reach nothing', () => {
    expect(networks['data']).toEqual({ internal: true });
    for (const name of ['postgres', 'redis', 'migrate']) expect(services[name]?.networks).toEqual(['data']);
  });

  it('lets .env stay out of git', () => {
    expect(readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n')).toContain('.env');
  });
});
