/** docs/preflight.md is about the checks that there are. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadChecks } from '../../src/adapters/inspect/inspect.ts';
import { SIDECAR_RESOURCES } from '../../src/adapters/inspect/policy.ts';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { readConfig } from '../../src/config.ts';

const page = await readFile(new URL('../../docs/preflight.md', import.meta.url), 'utf8');
const [checks, meshes] = await Promise.all([loadChecks(), loadMeshes()]);
const rows = page
  .split('\n')
  .filter((line) => /^\| `[a-z.-]+` \|/.test(line))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  .map(([, name = '', about, own, scope, level = '', remedy = '']) => ({
    name: name.replaceAll('`', ''),
    about,
    own,
    scope,
    level,
    remedy,
  }));

it('has a row for every check, with what the check says of itself', () => {
  const told = rows.map(({ name, about, own, scope }) => ({ name, about, own, scope }));
  const known = [...checks.values()].map(({ name, about, meshes: own, scope }) => ({
    name,
    about,
    own: own.length === meshes.size ? 'all' : own.join(', '),
    scope,
  }));
  expect(told).toEqual(known);
});

it('names for each a level and a remedy', () => {
  for (const { name, level, remedy } of rows) {
    expect(level, name).toMatch(/\b(fail|warn)\b/);
    expect(remedy.length, name).toBeGreaterThan(3);
  }
});

it('shows settings that are read, of checks that there are', () => {
  const [, written = ''] = /SLUICE_PREFLIGHT_SEVERITY='([^']+)'/.exec(page) ?? [];
  const read = readConfig({
    DATABASE_URL: 'postgres://p',
    KUBECONFIG: import.meta.filename,
    PROMETHEUS_URL: 'http://p',
    SLUICE_PREFLIGHT_SEVERITY: written,
  });
  expect(read.ok && Object.keys(read.config.preflight.severity).length).toBe(3);
  const named = read.ok ? Object.keys(read.config.preflight.severity) : [];
  const [, plan = ''] = /```yaml\n(preflight:[\s\S]*?)```/.exec(page) ?? [];
  const { preflight } = parse(plan) as { preflight: { severity: Record<string, string> } };
  for (const name of [...named, ...Object.keys(preflight.severity)]) expect([...checks.keys()]).toContain(name);
});

it('has the defaults of the proxies as they are', () => {
  for (const wanted of Object.values(SIDECAR_RESOURCES))
    expect(page).toContain(
      Object.entries(wanted)
        .map(([name, least]) => `${name}=${least}`)
        .join(','),
    );
});
