import type { KubeObject } from '../../kubernetes/kube.ts';
import { textAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { deploymentsIn, istiods, LINKERD, linkerds, whyNotAvailable } from '../control-plane.ts';
import { DEPLOYMENTS, lists } from '../kinds.ts';

const INSTALL_ISTIO = 'istioctl install --set profile=default -y';
const INSTALL_LINKERD = 'linkerd install | kubectl apply -f -';
const INSTALL_LINKERD_CRDS = 'linkerd install --crds | kubectl apply -f -';
const INSTALL_SMI = 'linkerd smi install | kubectl apply -f -';
const INSTALL_GATEWAY_API =
  'kubectl apply -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.2.1/standard-install.yaml';

/** Where `linkerd smi install` puts the adaptor. */
const SMI = { namespace: 'linkerd-smi', deployment: 'smi-adaptor' } as const;

interface Group {
  readonly group: string;
  readonly install: string;
}

const GATEWAY_API: Group = { group: 'gateway.networking.k8s.io', install: INSTALL_GATEWAY_API };

/** API groups without which the mesh's routes are nothing. */
function groupsOf({ mesh, proxy, target }: Surroundings): readonly Group[] {
  if (mesh === 'istio')
    return ['networking.istio.io', 'security.istio.io'].map((group) => ({ group, install: INSTALL_ISTIO }));
  const linkerd: readonly Group[] = [{ group: 'linkerd.io', install: INSTALL_LINKERD_CRDS }];
  if (mesh === 'linkerd-smi') return [...linkerd, { group: 'split.smi-spec.io', install: INSTALL_SMI }];
  const own = textAt(target?.['httpRoute'], 'group');
  const routes = own === 'policy.linkerd.io' ? { group: own, install: INSTALL_LINKERD_CRDS } : GATEWAY_API;
  return proxy === 'linkerd' ? [...linkerd, routes] : [routes];
}

/** A cluster that serves only some groups of a mesh has an installation that is broken or very old. */
const OPTIONAL: ReadonlySet<string> = new Set(['security.istio.io']);

async function crds(around: Surroundings): Promise<readonly CheckResult[]> {
  const groups = groupsOf(around);
  const served = await Promise.all(groups.map(({ group }) => around.versions(group)));
  return groups.flatMap(({ group, install }, at): readonly CheckResult[] =>
    (served[at] ?? []).length > 0
      ? []
      : [
          {
            status: OPTIONAL.has(group) ? 'warn' : 'fail',
            message: `cluster ${around.cluster} does not serve the API group ${group}: the mesh's CRDs are missing`,
            evidence: { installed: false, group },
            remediation: install,
          },
        ],
  );
}

const restart = ({ metadata: { name, namespace = 'default' } }: KubeObject, install: string): string =>
  `kubectl -n ${namespace} get pods shows why; where it was scaled down: kubectl scale deployment ${name} -n ${namespace} --replicas=1; where it is broken: ${install}`;

/** The control plane may be another cluster's: then none of it is here, and that is no fault. */
const elsewhere = ({ cluster, proxy, controlPlane }: Surroundings, what: string, install: string): CheckResult => ({
  status: 'warn',
  message: `namespace ${controlPlane} of cluster ${cluster} has no ${what}: the control plane is outside of this cluster, in another namespace, or missing`,
  evidence: { installed: null, namespace: controlPlane },
  remediation: `Where it is in another namespace: SLUICE_MESH_NAMESPACES=${proxy}=<namespace>; where it is missing: ${install}`,
});

const available = (deployments: readonly KubeObject[], served: readonly string[]): CheckResult => ({
  status: 'pass',
  message: `the CRDs are served (${served.join(', ')}), and ${deployments.map(({ metadata }) => metadata.name).join(', ')} ${deployments.length === 1 ? 'is' : 'are'} Available`,
  evidence: { installed: true, deployments: deployments.map(({ metadata }) => metadata.name) },
});

async function istio(around: Surroundings): Promise<readonly CheckResult[]> {
  const found = istiods(await deploymentsIn(around, around.controlPlane));
  if (found.length === 0) return [elsewhere(around, 'istiod', INSTALL_ISTIO)];
  const wrong = found.flatMap((deployment) => {
    const why = whyNotAvailable(deployment);
    return why === null ? [] : [{ deployment, why }];
  });
  // During an upgrade by revisions the new one may still be coming up beside the old one, which serves.
  const status = wrong.length === found.length ? 'fail' : 'warn';
  if (wrong.length > 0)
    return wrong.map(({ deployment, why }) => ({
      status,
      message: `${why}: no change of a route reaches the proxies`,
      evidence: { installed: status !== 'fail', deployment: deployment.metadata.name },
      remediation: restart(deployment, INSTALL_ISTIO),
    }));
  return [available(found, await around.versions(around.mesh === 'istio' ? 'networking.istio.io' : GATEWAY_API.group))];
}

async function linkerd(around: Surroundings): Promise<readonly CheckResult[]> {
  const found = linkerds(await deploymentsIn(around, around.controlPlane));
  if (found.length === 0) return [elsewhere(around, `${LINKERD.join(', ')}`, INSTALL_LINKERD)];
  const missing = LINKERD.filter((name) => !found.some(({ metadata }) => metadata.name === name));
  const wrong: readonly CheckResult[] = [
    ...missing.map(
      (name): CheckResult => ({
        status: 'fail',
        message: `namespace ${around.controlPlane} has no deployment ${name}, a part of Linkerd's control plane`,
        evidence: { installed: false, deployment: name },
        remediation: INSTALL_LINKERD,
      }),
    ),
    ...found.flatMap((deployment): readonly CheckResult[] => {
      const why = whyNotAvailable(deployment);
      if (why === null) return [];
      const evidence = { installed: false, deployment: deployment.metadata.name };
      return [{ status: 'fail', message: why, evidence, remediation: restart(deployment, INSTALL_LINKERD) }];
    }),
  ];
  const adaptor = around.mesh === 'linkerd-smi' ? await smi(around) : [];
  if (wrong.length + adaptor.length > 0) return [...wrong, ...adaptor];
  return [available(found, await around.versions('linkerd.io'))];
}

/** Without its adaptor a TrafficSplit is a note that nobody reads. */
async function smi(around: Surroundings): Promise<readonly CheckResult[]> {
  const { namespace, deployment: name } = SMI;
  const found = (await deploymentsIn(around, namespace)).find(({ metadata }) => metadata.name === name);
  if (found === undefined)
    return [
      {
        status: 'warn',
        message: `namespace ${namespace} has no deployment ${name}: unless the SMI adaptor runs elsewhere, TrafficSplits are not carried out`,
        evidence: { adaptor: null },
        remediation: INSTALL_SMI,
      },
    ];
  const why = whyNotAvailable(found);
  if (why === null) return [];
  return [
    {
      status: 'fail',
      message: `${why}: TrafficSplits are not carried out`,
      evidence: { adaptor: false },
      remediation: restart(found, INSTALL_SMI),
    },
  ];
}

export default defineCheck({
  name: 'mesh.installed',
  about: "The mesh's CRDs are not served, or its control plane is not Available: no write to a route takes effect.",
  meshes: ['istio', 'linkerd-smi', 'gateway-api'],
  scope: 'cluster',
  rbac: lists(DEPLOYMENTS),
  async run(around) {
    const missing = await crds(around);
    if (missing.some(({ status }) => status === 'fail')) return missing;
    return [...missing, ...(await (around.proxy === 'istio' ? istio(around) : linkerd(around)))];
  },
});
