/** What stands in `meshes/`, `metrics/`, `guards/`, `preparations/` and `notify/channels/`: a new one is one new file there, and no list to edit. */
import { readdir } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { GuardSpec } from '../app/plan-schema.ts';
import { UnknownName } from '../app/ports.ts';
import type { MeshCapabilities } from '../domain/capabilities.ts';
import type { GuardModule } from './guard.ts';
import type { MeshModule } from './mesh.ts';
import type { ChannelModule } from './notify/channel.ts';
import type { PreparationModule } from './preparation.ts';

/** `name.ts` in the sources, `name.js` once compiled; declarations and maps lie beside the latter. */
const MODULE = /^(?<name>[a-z0-9][-a-z0-9]*)\.(ts|js)$/;

/**
 * Imports every module of a folder, by file name. `check` gets the default export and says what is wrong with it
 * (null: nothing). Throws, naming the file: an installation that is broken must not start.
 */
export async function loadFolder<T>(
  folder: URL,
  check: (exported: unknown, name: string) => string | null,
): Promise<ReadonlyMap<string, T>> {
  const directory = folder.href.endsWith('/') ? folder : new URL(`${folder.href}/`);
  const loaded = new Map<string, T>();
  for (const file of (await readdir(directory)).sort()) {
    const name = MODULE.exec(file)?.groups?.['name'];
    if (name === undefined) continue;
    const url = pathToFileURL(fileURLToPath(new URL(file, directory)));
    const { default: exported } = (await import(url.href)) as { default?: unknown };
    const wrong = check(exported, name);
    if (wrong !== null) throw new Error(`${fileURLToPath(url)}: ${wrong}`);
    if (loaded.has(name)) throw new Error(`${fileURLToPath(url)}: "${name}" is there twice, as .ts and as .js`);
    loaded.set(name, exported as T);
  }
  return loaded;
}

/**
 * Says what is wrong with an export that should have these fields, each of this `typeof`, and whose `naming` field should
 * be the file's name.
 */
export const shapeCheck =
  (naming: string, fields: Readonly<Record<string, 'string' | 'number' | 'boolean' | 'object' | 'function'>>) =>
  (exported: unknown, name: string): string | null => {
    if (typeof exported !== 'object' || exported === null) return 'wanted a default export with the module; found none';
    const found = exported as Record<string, unknown>;
    if (found[naming] !== name)
      return `wanted ${naming} "${name}", the file's name; found ${JSON.stringify(found[naming]) ?? 'none'}`;
    const wrong = Object.entries(fields).find(([field, type]) => found[field] === null || typeof found[field] !== type);
    return wrong === undefined ? null : `wanted ${wrong[0]} to be of type ${wrong[1]}; found ${typeof found[wrong[0]]}`;
  };

const isMesh = shapeCheck('kind', {
  kind: 'string',
  target: 'object',
  example: 'object',
  rbac: 'object',
  capabilities: 'object',
  views: 'function',
  counting: 'function',
  open: 'function',
  place: 'function',
  proxy: 'function',
});

/** Every mesh, by kind. */
export const loadMeshes = (folder = new URL('./meshes/', import.meta.url)): Promise<ReadonlyMap<string, MeshModule>> =>
  loadFolder<MeshModule>(folder, isMesh);

/** What every mesh can carry, in the order of their kinds. */
export const capabilityMatrix = (meshes: ReadonlyMap<string, MeshModule>): readonly MeshCapabilities[] =>
  [...meshes.values()].flatMap(({ capabilities }) => capabilities);

/** Every metrics provider's module, by name: `metrics/<name>.ts` with a default export that has that `name`. */
export const loadProviders = <T extends { readonly name: string }>(
  folder = new URL('./metrics/', import.meta.url),
): Promise<ReadonlyMap<string, T>> => loadFolder<T>(folder, shapeCheck('name', { name: 'string' }));

export type Guards = ReadonlyMap<string, GuardModule>;

const isGuard = shapeCheck('name', {
  name: 'string',
  about: 'string',
  proxies: 'object',
  metrics: 'boolean',
  strict: 'boolean',
  defaults: 'object',
  every: 'number',
  look: 'function',
});

/** Every guard, by name, in the order of their names. */
export const loadGuards = (folder = new URL('./guards/', import.meta.url)): Promise<Guards> =>
  loadFolder<GuardModule>(folder, isGuard);

export type Preparations = ReadonlyMap<string, PreparationModule>;

const isPreparation = shapeCheck('name', {
  name: 'string',
  about: 'string',
  prepares: 'string',
  order: 'number',
  rbac: 'object',
  field: 'string',
  look: 'function',
  bring: 'function',
  takeBack: 'function',
  fence: 'function',
});

/** Every way of making something ready beside a route, by name. */
export const loadPreparations = (folder = new URL('./preparations/', import.meta.url)): Promise<Preparations> =>
  loadFolder<PreparationModule>(folder, isPreparation);

/** Every kind of channel, by name. */
export const loadChannels = (
  folder = new URL('./notify/channels/', import.meta.url),
): Promise<ReadonlyMap<string, ChannelModule<unknown>>> =>
  loadFolder<ChannelModule<unknown>>(
    folder,
    shapeCheck('kind', { kind: 'string', settings: 'object', request: 'function' }),
  );

/** The metrics provider that guards ask. */
export const GUARD_SOURCE = 'prometheus';

/** What the plan's schema has to know of them. */
export const guardSpecs = (guards: Guards, meshes: ReadonlyMap<string, MeshModule>): readonly GuardSpec[] =>
  [...guards.values()].map(({ name, about, defaults, strict, metrics, proxies }) => ({
    name,
    about,
    ...defaults,
    strict,
    provider: metrics ? GUARD_SOURCE : null,
    applies: (target) => proxies.includes(meshFor(meshes, target.mesh).proxy(target)),
  }));

/** Throws UnknownName with the known kinds: never a default. */
export function meshFor(meshes: ReadonlyMap<string, MeshModule>, kind: string): MeshModule {
  const mesh = meshes.get(kind);
  if (mesh === undefined) throw new UnknownName('mesh', kind, [...meshes.keys()]);
  return mesh;
}
