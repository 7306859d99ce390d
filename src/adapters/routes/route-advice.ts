/** What an HTTPRoute says about itself, and what stands around it. Pure functions over listed objects. */
import type { CheckResult } from '../inspect/check.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { fail, warn } from './advice.ts';
import { isRecord, listAt, numberAt, textAt } from './json.ts';
import type { Naming } from './refusals.ts';
import { ruleWords } from './refusals.ts';
import type { MovedRule } from './split.ts';

const nameOf = (object: KubeObject): string => `${object.metadata.namespace ?? 'default'}/${object.metadata.name}`;

export interface Parent {
  readonly namespace: string;
  readonly service: string;
}

/** Services whose clients the route is for. Linkerd also writes the core group as "core". */
export const parentServices = (route: KubeObject): readonly Parent[] =>
  listAt(route.spec, 'parentRefs')
    .filter(
      (parent) =>
        isRecord(parent) && parent['kind'] === 'Service' && ['', 'core'].includes(String(parent['group'] ?? '')),
    )
    .map((parent) => ({
      namespace: textAt(parent, 'namespace') ?? route.metadata.namespace ?? 'default',
      service: textAt(parent, 'name') ?? '',
    }));

export function otherParents(route: KubeObject, service: string, naming: Naming): readonly CheckResult[] {
  const parents = parentServices(route);
  if (parents.some((parent) => parent.service === service)) return [];
  const found = parents.length === 0 ? 'no Service' : parents.map((parent) => parent.service).join(', ');
  return [
    warn(
      `${naming.object} is attached to ${found}: calls to service ${service} inside the mesh go past the split`,
      `Add parentRefs: [{ group: "", kind: Service, name: ${service} }] if they should not`,
    ),
  ];
}

/** Controllers report on each parent; a refusal of this very generation means that the route is not in force. */
export function refusedByController(route: KubeObject, naming: Naming): readonly CheckResult[] {
  return listAt(route.status, 'parents').flatMap((parent) =>
    listAt(parent, 'conditions')
      .filter((condition) => isRecord(condition) && condition['status'] === 'False')
      .filter((condition) => ['Accepted', 'ResolvedRefs'].includes(textAt(condition, 'type') ?? ''))
      .filter(
        (condition) =>
          (numberAt(condition, 'observedGeneration') ?? route.metadata.generation) === route.metadata.generation,
      )
      .map((condition) =>
        fail(
          `${textAt(parent, 'controllerName') ?? 'a controller'} refuses ${naming.object}: ${textAt(condition, 'type')} is False, ${textAt(condition, 'reason') ?? 'no reason given'}${textAt(condition, 'message') === null ? '' : `: ${textAt(condition, 'message')}`}`,
          'Correct the route by what the controller says',
        ),
      ),
  );
}

/** Routes of one Service are ordered by the match, then by age. */
export function rivalRoutes(route: KubeObject, all: readonly KubeObject[], naming: Naming): readonly CheckResult[] {
  const parents = parentServices(route).map((parent) => `${parent.namespace}/${parent.service}`);
  return all
    .filter((other) => nameOf(other) !== nameOf(route))
    .filter((other) =>
      parentServices(other).some((parent) => parents.includes(`${parent.namespace}/${parent.service}`)),
    )
    .map((other) =>
      warn(
        `HTTPRoute ${nameOf(other)} is attached to the same Service as ${naming.object}: requests that match both follow the more specific match, then the older route`,
        'Join the two into one object, or let their matches exclude each other',
      ),
    );
}

/** A backend without a port is invalid, and its share is answered with errors. */
export function portless(route: KubeObject, moved: readonly MovedRule[], naming: Naming): readonly CheckResult[] {
  const rules = listAt(route.spec, 'rules');
  return moved.flatMap(({ rule }) =>
    listAt(rules[rule.index], 'backendRefs')
      .filter((backend) => numberAt(backend, 'port') === null)
      .map((backend) =>
        fail(
          `${ruleWords(rule)} of ${naming.object} has no port for service ${textAt(backend, 'name')}: its share would be answered with errors`,
          'Add the port of the Service to the entry in backendRefs',
        ),
      ),
  );
}
