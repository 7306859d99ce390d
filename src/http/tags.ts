/** What the document groups its operations by: the first part of their paths. */

export interface Tag {
  readonly name: string;
  readonly description: string;
}

const MESHES: Tag = {
  name: 'Meshes',
  description: 'What is installed, what each mesh can carry, and how to install one.',
};
const SERVER: Tag = {
  name: 'Server',
  description: 'Is it alive and ready, do its metrics answer, and how does it describe itself?',
};

const TAGS: Readonly<Record<string, Tag>> = {
  rollouts: { name: 'Rollouts', description: 'Start, follow, and decide; and the whole history of each.' },
  'fleet-rollouts': { name: 'Fleet rollouts', description: 'One plan through several clusters, in waves.' },
  'mesh-migrations': { name: 'Migrations', description: 'mTLS from PERMISSIVE to STRICT.' },
  analysis: { name: 'Analysis', description: 'A plan, tried on the past.' },
  deliveries: { name: 'Deliveries', description: 'What channels outside were told.' },
  audit: { name: 'Audit', description: 'Who did what, how, from where and why.' },
  whoami: { name: 'Who asks', description: 'Who asks, and what may they do?' },
  clusters: MESHES,
  meshes: MESHES,
  'install-plans': MESHES,
  healthz: SERVER,
  readyz: SERVER,
  metrics: SERVER,
  'metrics-providers': SERVER,
  'openapi.json': SERVER,
  schemas: SERVER,
  problems: SERVER,
};

/** A path that no group names is a group of its own. */
export function tagOf(path: string): Tag {
  const [, first = ''] = path.split('/');
  return TAGS[first] ?? { name: first, description: '' };
}
