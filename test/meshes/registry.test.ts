import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import { loadFolder, loadMeshes, loadProviders, meshFor, shapeCheck } from '../../src/adapters/registry.ts';
import { UnknownName } from '../../src/app/ports.ts';

describe('the meshes that ship', () => {
  it('are found by their files, each with a valid example of its own kind', async () => {
    const meshes = await loadMeshes();
    expect([...meshes.keys()]).toEqual(['gateway-api', 'istio', 'linkerd-smi']);
    for (const [kind, mesh] of meshes) {
      expect(mesh.kind).toBe(kind);
      expect(mesh.target.parse(mesh.example)).toMatchObject({ mesh: kind });
    }
  });

  it('ask for no more than they use: no wildcards, no writes but patches of their route', async () => {
    for (const mesh of (await loadMeshes()).values())
      for (const rule of mesh.rbac) {
        expect(rule.verbs.filter((verb) => !['get', 'list', 'watch', 'patch'].includes(verb))).toEqual([]);
        expect([...rule.apiGroups, ...rule.resources]).not.toContain('*');
        if (rule.verbs.includes('patch')) expect(rule.resources).toHaveLength(1);
      }
  });

  it('an unknown kind is an error that names the known ones, never a default', async () => {
    const meshes = await loadMeshes();
    expect(meshFor(meshes, 'istio').kind).toBe('istio');
    expect(() => meshFor(meshes, 'consul')).toThrow(UnknownName);
    expect(() => meshFor(meshes, 'consul')).toThrow('unknown mesh "consul"; known: gateway-api, istio, linkerd-smi');
    expect(() => meshFor(new Map<string, MeshModule>(), 'istio')).toThrow('known: none');
  });
});

describe('a folder of modules', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'registry-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const write = (file: string, text: string) => writeFile(join(folder, file), text);
  const url = () => pathToFileURL(folder);
  const check = shapeCheck('kind', { open: 'function' });
  const load = () => loadFolder<{ kind: string }>(url(), check);

  it('is read by file names; declarations, maps and other files are no modules', async () => {
    await write('b.ts', 'export default { kind: "b", open() {} }');
    await write('a.js', 'export default { kind: "a", open() {} }');
    for (const file of ['a.d.ts', 'a.js.map', 'README.md', 'c.json', '.hidden.ts', 'a.test.ts'])
      await write(file, 'not a module');
    expect([...(await load()).keys()]).toEqual(['a', 'b']);
  });

  it.each([
    [
      'whose kind is not its name',
      'export default { kind: "b", open() {} }',
      /a\.ts: wanted kind "a", the file's name; found "b"/,
    ],
    ['without a kind', 'export default { open() {} }', /wanted kind "a".*found none/],
    ['without a default export', 'export const kind = "a"', /wanted a default export.*found none/],
    ['whose default export is no object', 'export default 5', /wanted a default export/],
    ['that lacks a part', 'export default { kind: "a" }', /wanted open to be of type function; found undefined/],
    ['with a part of another type', 'export default { kind: "a", open: null }', /wanted open to be of type function/],
  ])('refuses a file %s', async (_, text, message) => {
    await write('a.ts', text);
    await expect(load()).rejects.toThrow(message);
  });

  it('refuses a name that is there twice', async () => {
    await write('a.ts', 'export default { kind: "a", open() {} }');
    await write('a.js', 'export default { kind: "a", open() {} }');
    await expect(load()).rejects.toThrow(/"a" is there twice/);
  });

  it('serves metrics providers too, by their name', async () => {
    await write('prometheus.ts', 'export default { name: "prometheus" }');
    expect([...(await loadProviders(url())).keys()]).toEqual(['prometheus']);
    await write('other.ts', 'export default { name: "prometheus" }');
    await expect(loadProviders(url())).rejects.toThrow(/wanted name "other"/);
  });
});
