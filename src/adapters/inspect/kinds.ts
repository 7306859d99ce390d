/** Kinds that several checks list, and the rights for it. */
import type { PolicyRule } from '../mesh.ts';
import type { Listed } from './check.ts';

type Kind = Omit<Listed, 'namespace'>;

export const DEPLOYMENTS: Kind = { group: 'apps', plural: 'deployments' };
export const PODS: Kind = { group: '', plural: 'pods' };
export const SERVICES: Kind = { group: '', plural: 'services' };
export const NAMESPACES: Kind = { group: '', plural: 'namespaces' };
export const PROFILES: Kind = { group: 'linkerd.io', plural: 'serviceprofiles' };

/** The rights to list these kinds. */
export const lists = (...kinds: readonly Kind[]): readonly PolicyRule[] =>
  kinds.map(({ group, plural }) => ({ apiGroups: [group], resources: [plural], verbs: ['list'] }));
