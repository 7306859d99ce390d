/** Exactly the pods of one workload: by which labels a policy selects them. Pure. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { selectedBeside, selectionOf } from '../../src/adapters/policies/selection.ts';
import { workload } from '../support/surroundings.ts';

type Labels = Readonly<Record<string, string>>;

/** A Deployment that selects by fewer labels than its pods have, and its pods. */
function deployment(name: string, selector: Labels, labels: Labels = selector, replicas = 1): readonly KubeObject[] {
  const [made, ...pods] = workload(name, { labels, replicas });
  if (made === undefined) throw new Error('the test makes no Deployment');
  return [{ ...made, spec: { ...(made.spec as object), selector: { matchLabels: selector } } }, ...pods];
}

function podOf(
  owner: { readonly kind: string; readonly name: string } | null,
  labels: Labels,
  more: object = {},
): KubeObject {
  const ownerReferences = owner === null ? [] : [{ ...owner, controller: true }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a-pod', namespace: 'production', labels, ownerReferences },
    ...more,
  };
}

const around = (objects: readonly KubeObject[]) => ({
  deployments: objects.filter(({ kind }) => kind === 'Deployment'),
  pods: objects.filter(({ kind }) => kind === 'Pod'),
});
const chosen = (own: readonly KubeObject[], others: readonly KubeObject[]) =>
  selectionOf(own[0] as KubeObject, around([...own, ...others]));

const WEB = { app: 'web' };
const V1 = { app: 'web', version: 'v1' };
const V2 = { app: 'web', version: 'v2' };

describe('a policy of a workload selects by', () => {
  it.each<[string, readonly KubeObject[], readonly KubeObject[], Labels, readonly string[]]>([
    [
      'its own matchLabels where nobody else has them',
      deployment('web', WEB, V1),
      deployment('db', { app: 'db' }),
      WEB,
      [],
    ],
    [
      'one more label of its pods where others have these',
      deployment('web-1', WEB, V1),
      deployment('web-2', V2),
      V1,
      ['version'],
    ],
    [
      'all labels of its pods where no single one tells',
      deployment('web-1', WEB, { ...V1, tier: 'a' }),
      [...deployment('web-2', V1), ...deployment('web-3', { ...WEB, tier: 'a' })],
      { ...V1, tier: 'a' },
      ['version', 'tier'],
    ],
    [
      'its own where only a finished job has the same',
      deployment('web', WEB),
      [podOf({ kind: 'Job', name: 'once' }, WEB, { status: { phase: 'Succeeded' } })],
      WEB,
      [],
    ],
  ])('%s', (_, own, others, labels, loose) => {
    expect(chosen(own, others)).toMatchObject({ ok: true, labels, loose });
  });
});

describe('there are no such labels', () => {
  it.each<[string, readonly KubeObject[], readonly KubeObject[], readonly string[]]>([
    ['without matchLabels', deployment('web', {}, WEB), [], []],
    [
      'beside a Deployment of the same labels that has no pod',
      deployment('web', WEB),
      deployment('twin', WEB, WEB, 0),
      ['Deployment production/twin'],
    ],
    [
      'beside pods of a StatefulSet',
      deployment('web', WEB),
      [podOf({ kind: 'StatefulSet', name: 'db' }, V1)],
      ['StatefulSet production/db'],
    ],
    ['beside a bare pod', deployment('web', WEB), [podOf(null, WEB)], ['Pod production/a-pod']],
    [
      'beside a ReplicaSet that no Deployment owns',
      deployment('web', WEB),
      [podOf({ kind: 'ReplicaSet', name: 'web-h' }, WEB)],
      ['ReplicaSet production/web-h'],
    ],
    [
      'where its own older pods lack the label that would tell',
      [
        ...deployment('web-1', WEB, V1),
        podOf({ kind: 'ReplicaSet', name: 'web-1-old' }, { ...WEB, 'pod-template-hash': 'old' }),
      ],
      deployment('web-2', V2),
      ['Deployment production/web-2'],
    ],
  ])('%s', (_, own, others, named) => {
    expect(chosen(own, others)).toMatchObject({ ok: false, others: named });
  });
});

it('whatever runs in the namespace: what is chosen is never empty, is on every pod of the workload, and on nobody else’s', () => {
  const labels = fc.dictionary(fc.constantFrom('app', 'version', 'tier'), fc.constantFrom('a', 'b'));
  const some = fc.array(fc.tuple(labels, labels), { maxLength: 4 });
  fc.assert(
    fc.property(labels, labels, some, fc.array(labels, { maxLength: 3 }), (selector, more, others, bare) => {
      const own = deployment('web', selector, { ...more, ...selector });
      const all = around([
        ...own,
        ...others.flatMap(([fixed, loose], index) => deployment(`other-${index}`, fixed, { ...loose, ...fixed })),
        ...bare.map((one) => podOf(null, one)),
      ]);
      const found = selectionOf(own[0] as KubeObject, all);
      if (!found.ok) return Object.keys(selector).length === 0 || found.others.length > 0;
      expect(Object.keys(found.labels)).not.toEqual([]);
      expect({ ...more, ...selector }).toMatchObject(found.labels);
      expect(selectedBeside(found.labels, 'web', all)).toEqual([]);
    }),
  );
});
