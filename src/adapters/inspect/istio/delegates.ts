/** Rules that hand over to another VirtualService: what Istio wants of both. Pure. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { isRecord, listAt, recordAt, textAt } from '../../routes/json.ts';
import type { CheckResult } from '../check.ts';
import { isExportedTo, nameOf, namespaceOf, textsAt } from './objects.ts';
import { fail } from './results.ts';
import { ruleWords } from './route.ts';

/** "production/myapp-api"; null: the rule hands over to nobody. */
export function delegateOf(rule: unknown, root: KubeObject): string | null {
  const delegate = recordAt(rule, 'delegate');
  const name = textAt(delegate, 'name');
  return name === null ? null : `${textAt(delegate, 'namespace') ?? namespaceOf(root)}/${name}`;
}

const delegatesOf = (root: KubeObject): readonly { readonly rule: unknown; readonly index: number; to: string }[] =>
  listAt(root.spec, 'http').flatMap((rule, index) => {
    const to = delegateOf(rule, root);
    return to === null ? [] : [{ rule, index, to }];
  });

/** What is wrong with the rules of `object` that hand over, and, where it is itself handed over to, with that. */
export function delegation(object: KubeObject, all: readonly KubeObject[]): readonly CheckResult[] {
  const handed = delegatesOf(object).flatMap(({ rule, index, to }) => handover(object, rule, index, to, all));
  return isDelegate(object) ? [...handed, ...asDelegate(object, all)] : handed;
}

/** A VirtualService without hosts is in force only where another one hands over to it. */
const isDelegate = (object: KubeObject): boolean => textsAt(object.spec, 'hosts').length === 0;

function handover(
  root: KubeObject,
  rule: unknown,
  index: number,
  to: string,
  all: readonly KubeObject[],
): readonly CheckResult[] {
  const where = `${ruleWords(listAt(root.spec, 'http'), index)} of VirtualService ${nameOf(root)}`;
  const evidence = { object: nameOf(root), field: `spec.http[${index}].delegate`, delegate: to };
  const both = ['route', 'redirect'].find((field) => isRecord(rule) && rule[field] !== undefined);
  if (both !== undefined)
    return [
      fail(
        `${where} has both delegate and ${both}: Istio refuses it`,
        evidence,
        `Remove spec.http[${index}].${both}: it stands in the delegate ${to}`,
      ),
    ];
  const delegate = all.find((other) => nameOf(other) === to);
  if (delegate === undefined)
    return [
      fail(
        `${where} hands over to VirtualService ${to} in its field delegate, which does not exist: its requests get 404`,
        evidence,
        `Create VirtualService ${to}, or correct spec.http[${index}].delegate`,
      ),
    ];
  return isExportedTo(delegate, namespaceOf(root))
    ? []
    : [
        fail(
          `VirtualService ${to}, to which ${where} hands over, is exported (spec.exportTo) to ${textsAt(delegate.spec, 'exportTo').join(', ')} only: Istio ignores it there`,
          evidence,
          `Add ${namespaceOf(root)} to spec.exportTo of VirtualService ${to}`,
        ),
      ];
}

function asDelegate(object: KubeObject, all: readonly KubeObject[]): readonly CheckResult[] {
  const own = nameOf(object);
  const extra = ['gateways', 'tls', 'tcp'].find((field) => listAt(object.spec, field).length > 0);
  const again = delegatesOf(object)[0];
  const roots = all.flatMap((root) =>
    delegatesOf(root)
      .filter(({ to }) => to === own)
      .map((rule) => ({ root, ...rule })),
  );
  return [
    ...(extra === undefined
      ? []
      : [
          fail(
            `VirtualService ${own} has no hosts, so it is a delegate, and has spec.${extra}, which a delegate must not have: Istio ignores it`,
            { object: own, field: `spec.${extra}` },
            `Remove spec.${extra}, or give it spec.hosts`,
          ),
        ]),
    ...(again === undefined
      ? []
      : [
          fail(
            `VirtualService ${own} is a delegate and hands over once more in spec.http[${again.index}].delegate: Istio allows one level`,
            { object: own, field: `spec.http[${again.index}].delegate`, delegate: again.to },
            `Move the rules of ${again.to} into ${own}`,
          ),
        ]),
    ...(roots.length > 0
      ? roots.flatMap(({ root, rule, index }) => dropped(object, root, rule, index))
      : [
          fail(
            `VirtualService ${own} has no spec.hosts, and no VirtualService that could be looked at hands over to it: it is in force nowhere`,
            { object: own, field: 'spec.hosts' },
            `Give it spec.hosts, or name it in a root: delegate: { name: ${object.metadata.name}, namespace: ${namespaceOf(object)} }`,
          ),
        ]),
  ];
}

/** A delegate's match must lie within its root's, or Istio drops that rule with a line in its log. */
function dropped(delegate: KubeObject, root: KubeObject, rootRule: unknown, rootIndex: number): readonly CheckResult[] {
  const wanted = listAt(rootRule, 'match').map((match) => textAt(recordAt(match, 'uri'), 'prefix'));
  if (wanted.length === 0 || wanted.includes(null)) return [];
  const rules = listAt(delegate.spec, 'http');
  return rules.flatMap((rule, index) => {
    const own = listAt(rule, 'match')
      .map((match) => textAt(recordAt(match, 'uri'), 'prefix') ?? textAt(recordAt(match, 'uri'), 'exact'))
      .filter((path) => path !== null);
    const outside = own.length > 0 && own.every((path) => !wanted.some((prefix) => path.startsWith(prefix ?? '')));
    if (!outside) return [];
    return [
      fail(
        `${ruleWords(rules, index)} of VirtualService ${nameOf(delegate)} matches ${own.join(', ')}, outside of ${wanted.join(', ')}, which rule ${rootIndex} of VirtualService ${nameOf(root)} hands over: Istio drops it`,
        { object: nameOf(delegate), field: `spec.http[${index}].match`, root: nameOf(root) },
        `Begin spec.http[${index}].match[].uri of ${nameOf(delegate)} with ${wanted.join(' or ')}`,
      ),
    ];
  });
}
