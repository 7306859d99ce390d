import { defineCheck } from '../check.ts';
import { deploymentsIn, istiods, whyNotAvailable } from '../control-plane.ts';
import { DEPLOYMENTS, lists } from '../kinds.ts';

const GATEWAYS = { ingressgateway: 'istio-ingressgateway', egressgateway: 'istio-egressgateway' } as const;

/** By the gateways that each of Istio's profiles installs beside the control plane. */
const profileOf = (gateways: readonly string[]): 'minimal' | 'default' | 'demo' =>
  gateways.includes('egressgateway') ? 'demo' : gateways.includes('ingressgateway') ? 'default' : 'minimal';

export default defineCheck({
  name: 'mesh.profile',
  about:
    "Says which of Istio's profiles is installed (minimal, default, demo); warns of a gateway that is not Available.",
  meshes: ['istio', 'gateway-api'],
  scope: 'cluster',
  rbac: lists(DEPLOYMENTS),
  async run(around) {
    if (around.proxy !== 'istio') return [];
    const deployments = await deploymentsIn(around, around.controlPlane);
    if (istiods(deployments).length === 0) return [];
    const gateways = Object.entries(GATEWAYS).flatMap(([kind, name]) => {
      const own = deployments.filter(({ metadata }) => metadata.labels?.['istio'] === kind || metadata.name === name);
      return own.map((deployment) => ({ kind, deployment }));
    });
    const kinds = [...new Set(gateways.map(({ kind }) => kind))];
    const profile = profileOf(kinds);
    const evidence = { profile, gateways: gateways.map(({ deployment }) => deployment.metadata.name) };
    const wrong = gateways.map(({ deployment }) => whyNotAvailable(deployment)).filter((why) => why !== null);
    const message = `Istio's profile is ${profile}, by what runs in ${around.controlPlane}: istiod${kinds.map((kind) => `, ${kind}`).join('')}`;
    if (wrong.length === 0) return [{ status: 'pass', message, evidence }];
    return wrong.map((why) => ({
      status: 'warn' as const,
      message: `${message}; ${why}: requests from outside do not come in`,
      evidence,
      remediation: `kubectl -n ${around.controlPlane} get pods shows why`,
    }));
  },
});
