/** Discovery: which groups, versions and resources are served. */
import type { Json, JsonObject } from './json.ts';
import { byPreference, type Kind } from './kinds.ts';

const versionsOf = (kinds: readonly Kind[], group: string): string[] => {
  const all = kinds
    .filter((kind) => kind.group === group)
    .flatMap((kind) => kind.versions.map((version) => version.name));
  return [...new Set(all)].sort(byPreference);
};

const entry = (group: string, version: string): JsonObject => ({ groupVersion: `${group}/${version}`, version });

/** The authorization group is part of every API server, though it keeps no objects. */
const AUTHORIZATION = 'authorization.k8s.io';

function groupOf(kinds: readonly Kind[], group: string): JsonObject | null {
  const versions = group === AUTHORIZATION ? ['v1'] : versionsOf(kinds, group);
  const [preferred] = versions;
  if (preferred === undefined) return null;
  return {
    name: group,
    versions: versions.map((version) => entry(group, version)),
    preferredVersion: entry(group, preferred),
  };
}

const resource = (kind: Kind): readonly JsonObject[] => {
  const shared = { namespaced: kind.namespaced, kind: kind.kind, singularName: kind.kind.toLowerCase() };
  const main = { ...shared, name: kind.plural, verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'] };
  const part = (name: string, more: JsonObject = {}): JsonObject => ({
    ...shared,
    name: `${kind.plural}/${name}`,
    singularName: '',
    verbs: ['get', 'patch', 'update'],
    ...more,
  });
  return [
    main,
    ...(kind.scaleSubresource ? [part('scale', { group: 'autoscaling', version: 'v1', kind: 'Scale' })] : []),
    ...(kind.statusSubresource ? [part('status')] : []),
  ];
};

/** Answer of a discovery path, without the leading slash; null: no such path. */
export function discover(kinds: readonly Kind[], parts: readonly string[]): JsonObject | null {
  const [root, group, version] = parts;
  if (root === 'version') return { major: '1', minor: '30', gitVersion: 'v1.30.0-sandbox', platform: 'linux/amd64' };
  if (root === 'api') {
    if (group === undefined) return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
    return group === 'v1' && version === undefined ? resources(kinds, '', 'v1') : null;
  }
  if (root !== 'apis') return null;
  if (group === undefined) {
    const names = [...new Set(kinds.map((kind) => kind.group)), AUTHORIZATION].filter((name) => name !== '');
    const groups = names.map((name) => groupOf(kinds, name)).filter((found) => found !== null);
    return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  }
  const found = groupOf(kinds, group);
  if (found === null) return null;
  return version === undefined ? { kind: 'APIGroup', apiVersion: 'v1', ...found } : resources(kinds, group, version);
}

function resources(kinds: readonly Kind[], group: string, version: string): JsonObject | null {
  const served = kinds.filter((kind) => kind.group === group && kind.versions.some(({ name }) => name === version));
  if (served.length === 0) return null;
  const groupVersion = group === '' ? version : `${group}/${version}`;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: served.flatMap(resource) as readonly Json[],
  };
}
