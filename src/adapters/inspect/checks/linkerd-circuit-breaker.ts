import type { KubeObject } from '../../kubernetes/kube.ts';
import { nameOf, profileOf } from '../../routes/linkerd-advice.ts';
import { type CheckResult, defineCheck } from '../check.ts';
import { lists, PROFILES, SERVICES } from '../kinds.ts';

const ANNOTATION = 'balancer.linkerd.io/failure-accrual';
const MODES: readonly string[] = ['consecutive', 'unified'];

const modeOf = ({ metadata }: KubeObject): string | null => metadata.annotations?.[ANNOTATION] ?? null;

function judged(service: KubeObject, profile: KubeObject | undefined): CheckResult {
  const name = service.metadata.name;
  const mode = modeOf(service) ?? '';
  const evidence = { service: nameOf(service), mode, profile: profile === undefined ? null : nameOf(profile) };
  if (profile !== undefined)
    return {
      status: 'fail',
      message: `service ${nameOf(service)} asks for a circuit breaker (${ANNOTATION}: ${mode}), and ServiceProfile ${nameOf(profile)} switches it off: who relies on it has none`,
      evidence,
      remediation: `Delete the profile and split by an HTTPRoute, or take the annotation away: kubectl annotate service ${name} -n ${service.metadata.namespace ?? 'default'} ${ANNOTATION}-`,
    };
  if (!MODES.includes(mode))
    return {
      status: 'warn',
      message: `${ANNOTATION} of service ${nameOf(service)}: wanted ${MODES.join(' or ')}; found "${mode}", with which there is no circuit breaker`,
      evidence,
      remediation: `kubectl annotate service ${name} -n ${service.metadata.namespace ?? 'default'} ${ANNOTATION}=consecutive --overwrite`,
    };
  return {
    status: 'pass',
    message: `service ${nameOf(service)} has a circuit breaker (${mode}); a canary whose pods have all tripped gets no requests, and no step passes without them`,
    evidence,
  };
}

export default defineCheck({
  name: 'linkerd.circuit-breaker',
  about: "A Service asks for Linkerd's circuit breaker and a ServiceProfile switches it off, or it has no known mode.",
  meshes: ['linkerd-smi', 'gateway-api'],
  scope: 'target',
  rbac: lists(SERVICES, PROFILES),
  async run(around) {
    const { target, proxy } = around;
    if (target === null || proxy !== 'linkerd') return [];
    const { namespace, service } = target;
    const names = new Set([service, target.stable['service'], target.canary['service']].map(String));
    const services = (await around.list({ ...SERVICES, namespace })) ?? [];
    const asking = services.filter((found) => names.has(found.metadata.name) && modeOf(found) !== null);
    if (asking.length === 0) return [];
    const profiles = (await around.list({ ...PROFILES, namespace })) ?? [];
    // Callers speak to the Service of the plan: its profile is the one that they follow.
    const whole = profileOf(profiles, service, namespace);
    return asking.map((found) => judged(found, whole ?? profileOf(profiles, found.metadata.name, namespace)));
  },
});
