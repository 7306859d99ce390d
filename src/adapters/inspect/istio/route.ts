/** The VirtualService of a target, with the rules that the rollout moves. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { type IstioTarget, namingOf, splitIn } from '../../meshes/istio.ts';
import { listAt, recordAt, textAt } from '../../routes/json.ts';
import type { Naming } from '../../routes/refusals.ts';
import type { MovedRule } from '../../routes/split.ts';
import type { Surroundings } from '../check.ts';
import { listIn, VIRTUAL_SERVICES } from './objects.ts';

export interface Route {
  readonly target: IstioTarget;
  readonly object: KubeObject;
  readonly naming: Naming;
  /** List of rules that holds the split: http, tls or tcp. */
  readonly protocol: IstioTarget['virtualService']['protocol'];
  readonly rules: readonly unknown[];
  /** Empty: none can be told, and the router's own reading says why. */
  readonly moved: readonly MovedRule[];
}

/** null: the target is not Istio's, or none. */
export const istioTarget = ({ mesh, target }: Surroundings): IstioTarget | null =>
  mesh === 'istio' && target !== null ? (target as IstioTarget) : null;

/** null: no VirtualService is looked at, or it does not exist, which the router's own reading says. Throws Unread. */
export async function routeOf(around: Surroundings): Promise<Route | null> {
  const target = istioTarget(around);
  if (target === null) return null;
  const { protocol, name } = target.virtualService;
  const all = await listIn(around, VIRTUAL_SERVICES, [target.namespace]);
  const object = all.find(({ metadata }) => metadata.name === name);
  if (object === undefined) return null;
  const split = splitIn(object, target, false);
  return {
    target,
    object,
    naming: namingOf(target),
    protocol,
    rules: listAt(object.spec, protocol),
    moved: split.ok ? split.rules : [],
  };
}

/** `rule 1 "api"` */
export const ruleWords = (rules: readonly unknown[], index: number): string => {
  const name = textAt(rules[index], 'name');
  return `rule ${index}${name === null ? '' : ` "${name}"`}`;
};

/** Destinations of a rule. */
export const destinationsOf = (rule: unknown): readonly Readonly<Record<string, unknown>>[] =>
  listAt(rule, 'route').map((entry) => recordAt(entry, 'destination'));
