/**
 * The Kubernetes port in memory, without HTTP: optimistic concurrency and JSON patch only, for simulations of many
 * thousand runs. What a real API server answers is checked by test/contract/kube-api; this one answers the same for the
 * few requests that routers make.
 */
import type {
  Kube,
  KubeClient,
  KubeObject,
  KubeTrouble,
  ObjectRef,
  PatchOp,
} from '../../src/adapters/kubernetes/kube.ts';

export interface MemoryKube extends KubeClient {
  put(object: KubeObject, by?: string): void;
  /** `plural`: where several kinds have one of that name. Default: the first that was put. */
  object(name: string, plural?: string): KubeObject | undefined;
  /** Every accepted write in order. */
  readonly journal: readonly { readonly by: string; readonly before: KubeObject; readonly after: KubeObject }[];
  remove(name: string): void;
}

const trouble = (code: KubeTrouble['code'], status: number, message: string): KubeTrouble => ({
  ok: false,
  code,
  status,
  message,
});

const parts = (path: string): string[] =>
  path
    .split('/')
    .slice(1)
    .map((p) => p.replaceAll('~1', '/').replaceAll('~0', '~'));

type Node = Record<string, unknown>;

/** Applies the operations to a copy; null: a test failed or a path is missing. */
function patched(object: KubeObject, ops: readonly PatchOp[]): KubeObject | 'conflict' | null {
  const copy = structuredClone(object) as unknown as Node;
  for (const op of ops) {
    const path = parts(op.path);
    const last = path.pop() ?? '';
    let node: Node | undefined = copy;
    for (const part of path) node = node?.[part] as Node | undefined;
    if (node === undefined || node === null) return null;
    if (op.op === 'test') {
      if (JSON.stringify(node[last]) !== JSON.stringify(op.value)) return null;
    } else if (op.op === 'remove') {
      if (!(last in node)) return null;
      if (Array.isArray(node)) node.splice(Number(last), 1);
      else delete node[last];
    } else if (op.op === 'add' && Array.isArray(node)) {
      // RFC 6902: before what stands there; "-" is the end.
      const at = last === '-' ? node.length : Number(last);
      if (!(at >= 0 && at <= node.length)) return null;
      node.splice(at, 0, structuredClone(op.value));
    } else {
      if (op.op === 'replace' && !(last in node)) return null;
      if (op.path === '/metadata/resourceVersion' && op.value !== object.metadata.resourceVersion) return 'conflict';
      node[last] = structuredClone(op.value);
    }
  }
  return copy as unknown as KubeObject;
}

const pluralOf = (kind: string): string => `${kind.toLowerCase()}s`.replace(/ys$/, 'ies');
const keyOf = (plural: string, name: string): string => `${plural}/${name}`;

export function memoryKube(): MemoryKube {
  const objects = new Map<string, KubeObject>();
  const named = (name: string): KubeObject | undefined =>
    [...objects.values()].find(({ metadata }) => metadata.name === name);
  const journal: { by: string; before: KubeObject; after: KubeObject }[] = [];
  let version = 0;

  const save = (object: KubeObject, by: string): KubeObject => {
    const key = keyOf(pluralOf(object.kind), object.metadata.name);
    const before = objects.get(key);
    version += 1;
    const specChanged = JSON.stringify(before?.spec) !== JSON.stringify(object.spec);
    const generation = (before?.metadata.generation ?? 0) + (specChanged ? 1 : 0);
    const managedFields = [{ manager: by, operation: 'Update', time: '2026-01-01T00:00:00Z' }];
    const after: KubeObject = {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(version), generation, managedFields },
    };
    objects.set(key, after);
    if (before !== undefined) journal.push({ by, before, after });
    return after;
  };

  const get = async (ref: ObjectRef): Promise<Kube<KubeObject>> => {
    const found = objects.get(keyOf(ref.plural, ref.name));
    return found === undefined
      ? trouble('not_found', 404, `${ref.plural} ${ref.namespace}/${ref.name} not found`)
      : { ok: true, value: found };
  };

  /** Only spec.replicas is taken of a Scale, and one that changes nothing leaves the version as it is. */
  const scaled = (found: KubeObject, ops: readonly PatchOp[]): Kube<KubeObject> => {
    const { replicas = 1 } = (found.spec ?? {}) as { replicas?: number };
    const scale = { ...found, apiVersion: 'autoscaling/v1', kind: 'Scale', spec: { replicas } };
    const next = patched(scale, ops);
    if (next === 'conflict') return trouble('conflict', 409, 'the object has been modified');
    if (next === null) return trouble('invalid', 422, 'the server rejected our request due to an error in our request');
    const wanted = (next.spec as { replicas: number }).replicas;
    if (wanted !== replicas) save({ ...found, spec: { ...(found.spec as object), replicas: wanted } }, 'sluice');
    return { ok: true, value: next };
  };

  return {
    cluster: 'default',
    journal,
    put: (object, by = 'kubectl-edit') => void save(object, by),
    object: (name, plural) => (plural === undefined ? named(name) : objects.get(keyOf(plural, name))),
    remove(name) {
      const found = named(name);
      if (found !== undefined) objects.delete(keyOf(pluralOf(found.kind), name));
    },
    get,
    read: get,
    async list(kind) {
      return {
        ok: true,
        value: [...objects.values()].filter(
          (o) => pluralOf(o.kind) === kind.plural && o.metadata.namespace === kind.namespace,
        ),
      };
    },
    async patch(ref, ops, options) {
      const found = objects.get(keyOf(ref.plural, ref.name));
      if (found === undefined) return trouble('not_found', 404, `${ref.plural} ${ref.namespace}/${ref.name} not found`);
      if (ref.subresource === 'scale') return scaled(found, ops);
      const next = patched(found, ops);
      if (next === 'conflict') return trouble('conflict', 409, 'the object has been modified');
      if (next === null)
        return trouble('invalid', 422, 'the server rejected our request due to an error in our request');
      return { ok: true, value: options?.dryRun === true ? next : save(next, 'sluice') };
    },
    async create(ref, object) {
      if (objects.has(keyOf(ref.plural, ref.name)))
        return trouble('conflict', 409, `${ref.plural} ${ref.name} already exists`);
      return {
        ok: true,
        value: save({ apiVersion: `${ref.group}/${ref.version}`, ...object } as KubeObject, 'sluice'),
      };
    },
    async delete(ref, resourceVersion) {
      const found = objects.get(keyOf(ref.plural, ref.name));
      if (found === undefined) return trouble('not_found', 404, `${ref.plural} ${ref.namespace}/${ref.name} not found`);
      if (found.metadata.resourceVersion !== resourceVersion)
        return trouble('conflict', 409, 'the object has been modified');
      objects.delete(keyOf(ref.plural, ref.name));
      return { ok: true, value: null };
    },
    async versions() {
      return { ok: true, value: ['v1', 'v1beta1'] };
    },
    async canI() {
      return { ok: true, value: true };
    },
    async ping() {
      return null;
    },
    close() {},
  };
}
