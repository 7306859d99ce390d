import type { KubeObject } from '../../kubernetes/kube.ts';
import { textAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Evidence, type Surroundings, Unread } from '../check.ts';
import { deploymentsIn, imageOf, istiods, linkerds } from '../control-plane.ts';
import { DEPLOYMENTS, lists, PODS } from '../kinds.ts';
import type { MeshVersion } from '../version.ts';
import { compareVersions, minorsBehind, parseVersion, sameLine, versionOfImage } from '../version.ts';
import { proxyIn, type Version, versionsOf } from '../workload-pods.ts';

/** Proxies of one workload. */
interface Proxies {
  readonly role: string;
  readonly name: string;
  /** Each version once, the oldest first. */
  readonly versions: readonly MeshVersion[];
}

const MESHES = { istio: 'Istio', linkerd: 'Linkerd' } as const;
const UPGRADE = { istio: 'istioctl upgrade -y', linkerd: 'linkerd upgrade | kubectl apply -f -' } as const;

const restart = (name: string, namespace: string): string =>
  `kubectl rollout restart deployment ${name} -n ${namespace} gives its pods the proxy of the present control plane`;

/** Each version once, the oldest first. */
function distinct(versions: readonly (MeshVersion | null)[]): readonly MeshVersion[] {
  const known = versions.filter((version) => version !== null);
  return [...new Map(known.map((version) => [version.text, version])).values()].sort(compareVersions);
}

/** By image tags; where no control plane is here (it may be outside), by what its metrics say of themselves. Throws Unread. */
async function controlPlanes(around: Surroundings): Promise<readonly MeshVersion[]> {
  const all = await deploymentsIn(around, around.controlPlane);
  const own = around.proxy === 'istio' ? istiods(all) : linkerds(all);
  const found = distinct(own.map(versionOf));
  if (found.length > 0) return found;
  const nothing = `no control plane of ${MESHES[around.proxy]} in namespace ${around.controlPlane} tells its version`;
  if (around.proxy === 'linkerd') throw new Unread(`${nothing}; wanted an image tag like stable-2.14.10`);
  const builds = await around.query('sum by (tag) (istio_build{component="pilot"})').catch((error: unknown) => {
    if (error instanceof Unread) throw new Unread(`${nothing}, and its metrics cannot be asked: ${error.message}`);
    throw error;
  });
  const told = distinct(builds.map(({ labels }) => parseVersion(labels['tag'] ?? '')));
  if (told.length > 0) return told;
  throw new Unread(`${nothing}, nor does istio_build{component="pilot"} in Prometheus`);
}

/** Charts write the version as a label, too: an image may be pinned by its digest. */
const versionOf = (deployment: KubeObject): MeshVersion | null =>
  versionOfImage(imageOf(deployment)) ?? parseVersion(deployment.metadata.labels?.['app.kubernetes.io/version'] ?? '');

function proxiesOf({ role, name, pods }: Version, around: Surroundings): Proxies {
  const images = pods.map(({ spec }) => textAt(proxyIn(spec, around), 'image'));
  return { role, name, versions: distinct(images.map(versionOfImage)) };
}

const texts = (versions: readonly MeshVersion[]): string => versions.map(({ text }) => text).join(', ');

/** Below the oldest version that this installation wants. */
function tooOld(around: Surroundings, control: readonly MeshVersion[], proxies: readonly Proxies[]): CheckResult[] {
  const written = around.policy.minVersion[around.proxy];
  const least = written === undefined ? null : parseVersion(written);
  if (least === null) return [];
  const parts = [
    { what: 'the control plane', versions: control },
    ...proxies.map(({ role, name, versions }) => ({ what: `a proxy of the ${role} version ${name}`, versions })),
  ];
  return parts.flatMap(({ what, versions }): CheckResult[] =>
    versions
      .filter((version) => sameLine(version, least) && compareVersions(version, least) < 0)
      .map((version) => ({
        status: 'fail',
        message: `${what} is ${version.text}; this installation wants at least ${least.text} (SLUICE_MESH_MIN_VERSION)`,
        remediation: UPGRADE[around.proxy],
      })),
  );
}

/** A proxy may be a little older than its control plane, never newer. */
function skew(around: Surroundings, control: readonly MeshVersion[], proxies: readonly Proxies[]): CheckResult[] {
  const newest = control.at(-1);
  if (newest === undefined) return [];
  const namespace = around.target?.namespace ?? 'default';
  return proxies.flatMap(({ role, name, versions }): CheckResult[] =>
    versions
      .filter((version) => sameLine(version, newest))
      .flatMap((version): CheckResult[] => {
        const behind = minorsBehind(version, newest);
        const found = `a proxy of the ${role} version ${name} is ${version.text}, the control plane ${newest.text}`;
        if (compareVersions(version, newest) > 0)
          return [
            {
              status: 'warn',
              message: `${found}: a proxy that is newer than its control plane is not supported`,
              remediation: `Upgrade the control plane first: ${UPGRADE[around.proxy]}`,
            },
          ];
        if (behind === null || behind <= 1) return [];
        return [
          {
            status: 'warn',
            message: `${found}: ${behind} minor releases behind, and one is the most that is safe`,
            remediation: restart(name, namespace),
          },
        ];
      }),
  );
}

/** The comparison must not take two proxies for two versions of the application. */
function mixture(around: Surroundings, control: readonly MeshVersion[], proxies: readonly Proxies[]): CheckResult[] {
  const namespace = around.target?.namespace ?? 'default';
  const mixed = proxies.filter(({ versions }) => versions.length > 1);
  const upgrading = control.length > 1;
  const twoPlanes = `two revisions of the control plane run (${texts(control)}): an upgrade is under way`;
  const results = mixed.map(
    ({ role, name, versions }): CheckResult => ({
      status: upgrading ? 'fail' : 'warn',
      message: `the pods of the ${role} version ${name} have different proxies (${texts(versions)})${upgrading ? `, and ${twoPlanes}` : ''}: what a rollout measures would be the proxies' difference too`,
      remediation: `Finish the upgrade first: ${restart(name, namespace)}`,
    }),
  );
  if (results.length > 0) return results;
  if (upgrading)
    return [
      {
        status: 'warn',
        message: `${twoPlanes}; pods that start now may get another proxy than those that run`,
        remediation: 'Finish the upgrade, then remove the old revision: istioctl uninstall --revision <old>',
      },
    ];
  const [stable, canary] = proxies;
  const [one, two] = [stable?.versions[0], canary?.versions[0]];
  if (stable === undefined || canary === undefined || one === undefined || two === undefined) return [];
  if (one.text === two.text) return [];
  return [
    {
      status: 'warn',
      message: `the proxies of ${stable.name} are ${one.text}, those of ${canary.name} ${two.text}: the comparison also compares the proxies`,
      remediation: restart(compareVersions(one, two) < 0 ? stable.name : canary.name, namespace),
    },
  ];
}

export default defineCheck({
  name: 'mesh.version',
  about:
    "The control plane or a proxy is older than this installation wants, proxies and control plane are too far apart, or an upgrade is under way in the rollout's own workloads.",
  meshes: ['istio', 'linkerd-smi', 'gateway-api'],
  scope: 'cluster',
  rbac: lists(DEPLOYMENTS, PODS),
  async run(around) {
    const [control, versions] = await Promise.all([
      controlPlanes(around),
      around.target === null ? [] : versionsOf(around, around.target),
    ]);
    const proxies = versions.map((version) => proxiesOf(version, around));
    const evidence: Evidence = {
      version: control.at(-1)?.text ?? null,
      controlPlane: control.map(({ text }) => text),
      ...Object.fromEntries(proxies.map(({ role, versions: own }) => [role, own.map(({ text }) => text)])),
    };
    const wrong = [
      ...tooOld(around, control, proxies),
      ...mixture(around, control, proxies),
      ...skew(around, control, proxies),
    ];
    if (wrong.length > 0) return wrong.map((result) => ({ ...result, evidence }));
    const said = proxies.map(
      (own) => `, proxies of ${own.name} ${texts(own.versions) || 'without a version in their tags'}`,
    );
    return [
      {
        status: 'pass',
        message: `control plane of ${MESHES[around.proxy]} ${texts(control)}${said.join('')}`,
        evidence,
      },
    ];
  },
});
