import { recordAt, textAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Listing, Unread } from '../check.ts';
import { installedValues, meshConfigOf } from '../istio/mesh-config.ts';
import { orUnread } from '../istio/objects.ts';
import { fail, pass } from '../istio/results.ts';
import { lists, NAMESPACES } from '../kinds.ts';

const NETWORK = 'topology.istio.io/network';

interface Identity {
  /** null: the installation does not say. */
  readonly meshID: string | null;
  readonly network: string | null;
}

const FIELDS = {
  meshID: { setting: 'values.global.meshID', harm: 'its telemetry and certificates are those of another mesh' },
  network: {
    setting: 'values.global.network',
    harm: 'callers in other clusters are sent to pods that they cannot reach, or around the east-west gateway',
  },
} as const;

function compared(field: keyof Identity, listing: Listing, found: Identity, cluster: string): CheckResult | null {
  const [wanted, installed] = [listing[field], found[field]];
  if (wanted === null || wanted === installed) return null;
  const { setting, harm } = FIELDS[field];
  return fail(
    `cluster ${cluster} has ${field} ${wanted} in Sluice's list of clusters, and ${installed ?? 'none'} as it is installed: ${harm}`,
    { field, listed: wanted, installed },
    `Install with --set ${setting}=${wanted}, or correct ${field} of ${cluster} in the file of SLUICE_CLUSTERS_FILE`,
  );
}

export default defineCheck({
  name: 'multicluster.identity',
  about:
    "A cluster's meshID or network is not what the list of clusters says: it is no part of the mesh, or unreachable.",
  meshes: ['istio', 'gateway-api'],
  scope: 'cluster',
  // The mesh's configuration is read where this service was given the right to list ConfigMaps of the control plane.
  rbac: lists(NAMESPACES),
  async run(around) {
    const { listing, cluster, controlPlane } = around;
    if (around.proxy !== 'istio' || listing === null || (listing.meshID === null && listing.network === null))
      return [];
    const [values, mesh, namespaces] = await Promise.all([
      orUnread(installedValues(around)),
      orUnread(meshConfigOf(around)),
      orUnread(around.list({ ...NAMESPACES, namespace: '' })),
    ]);
    const told = [values, mesh, namespaces].find((one) => one instanceof Unread);
    const label =
      namespaces instanceof Unread
        ? null
        : (namespaces?.find(({ metadata }) => metadata.name === controlPlane)?.metadata.labels?.[NETWORK] ?? null);
    const global = values instanceof Unread ? {} : values;
    const found: Identity = {
      meshID:
        textAt(global, 'meshID') ?? (mesh instanceof Unread ? null : textAt(recordAt(mesh, 'defaultConfig'), 'meshId')),
      network: label ?? textAt(global, 'network'),
    };
    // What nobody could read is not known to be missing.
    if (
      told instanceof Unread &&
      ((listing.meshID !== null && found.meshID === null) || (listing.network !== null && found.network === null))
    )
      throw told;
    const wrong = (['meshID', 'network'] as const).flatMap((field) => compared(field, listing, found, cluster) ?? []);
    if (wrong.length > 0) return wrong;
    const said = (['meshID', 'network'] as const).filter((field) => listing[field] !== null);
    return [
      pass(
        `cluster ${cluster} is installed with the ${said.map((field) => `${field} ${found[field]}`).join(' and ')} of the list`,
        {
          ...found,
        },
      ),
    ];
  },
});
