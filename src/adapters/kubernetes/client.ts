/**
 * KubeClient over plain HTTP with client-node's credentials. Objects go through as JSON: client-node's typed models
 * drop the fields that they do not know, and a field that was dropped on reading is a field that is lost on writing.
 */
import type { Logger } from '../../app/ports.ts';
import { type Tracer, UNTRACED } from '../../app/tracer.ts';
import { type CacheTuning, openReadCache, type ReadCache } from './cache.ts';
import { type CredentialSource, openCredentials } from './credentials.ts';
import {
  FIELD_MANAGER,
  type KindRef,
  type Kube,
  type KubeClient,
  type KubeObject,
  type ObjectRef,
  type PatchOp,
} from './kube.ts';
import { collectionPath, groupPath, objectPath, withQuery } from './paths.ts';
import type { ShelfSource } from './shelf.ts';
import { openTransport, type Transport } from './transport.ts';
import { type Asked, outcome } from './trouble.ts';

export interface KubeOptions extends CredentialSource {
  /** The cluster's name in plans and messages. */
  readonly cluster: string;
  /** Deadline of every call. Default 5 s. */
  readonly timeoutMs?: number;
  readonly log?: Logger;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly cache?: CacheTuning;
}

/** The client, and what its cache holds. */
export interface OpenedKube extends KubeClient {
  readonly shelves: ReadCache['shelves'];
}

const TIMEOUT_MS = 5_000;
const MAX_AGE_MS = 5_000;
const VERSIONS_MS = 60_000;
const PAGE = 500;
/** A list that changes its mind this often under our hands is not going to end. */
const LIST_ATTEMPTS = 3;

/** Throws where the credentials make no sense; an unreachable server is trouble of the calls, not of this one. */
export async function openKube(options: KubeOptions): Promise<OpenedKube> {
  const { cluster, timeoutMs = TIMEOUT_MS, tracer = UNTRACED } = options;
  const log = (options.log ?? SILENT).child({ cluster });
  const credentials = await openCredentials(cluster, options);
  const transport = openTransport(credentials, { cluster, timeoutMs, tracer });
  const asked = (verb: string, ref: KindRef & { readonly name?: string; readonly subresource?: string }): Asked => ({
    cluster,
    verb,
    name: '',
    ...ref,
    plural: ref.subresource === undefined ? ref.plural : `${ref.plural}/${ref.subresource}`,
  });

  const get = async (ref: ObjectRef): Promise<Kube<KubeObject>> =>
    outcome(asked('get', ref), await transport.send({ method: 'GET', path: objectPath(ref) }), asObject);

  const cache = openReadCache({ get, shelf: shelfSource(transport, asked, tracer), log }, options.cache);
  const versions = versionsOf(transport, cluster);

  return {
    cluster,
    get: async (ref) => {
      const got = await get(ref);
      if (got.ok) cache.learn(ref, got.value);
      return got;
    },
    read: (ref, maxAge = MAX_AGE_MS) => cache.read(ref, maxAge),
    list: async (kind, listing = {}) => {
      const listed = await listAll(transport, asked('list', kind), kind, listing.labelSelector);
      return listed.ok ? { ok: true, value: listed.value.items } : listed;
    },
    patch: async (ref, ops, manners = {}) => {
      const written = await patch(transport, asked('patch', ref), ref, ops, manners.dryRun === true);
      // What comes back of a subresource is not the object.
      if (written.ok && manners.dryRun !== true && ref.subresource === undefined) cache.learn(ref, written.value);
      return written;
    },
    create: async (ref, object) => {
      const written = await create(transport, asked('create', ref), ref, object);
      if (written.ok) cache.learn(ref, written.value);
      return written;
    },
    delete: (ref, resourceVersion) => remove(transport, asked('delete', ref), ref, resourceVersion),
    versions,
    canI: (verb, ref) => canI(transport, asked('create', { ...SELF_REVIEW, namespace: '' }), verb, ref),
    ping: async () => {
      const answer = await transport.send({ method: 'GET', path: '/version' });
      const pinged = outcome(
        { ...asked('get', { ...SELF_REVIEW, namespace: '' }), group: '', plural: '/version' },
        answer,
        () => null,
      );
      return pinged.ok ? null : pinged.message;
    },
    get shelves() {
      return cache.shelves;
    },
    close() {
      cache.close();
      transport.close();
    },
  };
}

const asObject = (body: Record<string, unknown>): KubeObject => body as unknown as KubeObject;

// ── write ───────────────────────────────────────────────────────────────────────────────────────────────────────────

async function patch(
  transport: Transport,
  asked: Asked,
  ref: ObjectRef,
  ops: readonly PatchOp[],
  dryRun: boolean,
): Promise<Kube<KubeObject>> {
  const answer = await transport.send({
    method: 'PATCH',
    path: withQuery(objectPath(ref), { fieldManager: FIELD_MANAGER, dryRun: dryRun ? 'All' : undefined }),
    contentType: 'application/json-patch+json',
    body: JSON.stringify(ops),
  });
  return outcome(asked, answer, asObject);
}

async function create(
  transport: Transport,
  asked: Asked,
  ref: ObjectRef,
  object: Omit<KubeObject, 'apiVersion'>,
): Promise<Kube<KubeObject>> {
  const apiVersion = ref.group === '' ? ref.version : `${ref.group}/${ref.version}`;
  const answer = await transport.send({
    method: 'POST',
    path: withQuery(collectionPath(ref), { fieldManager: FIELD_MANAGER }),
    contentType: 'application/json',
    body: JSON.stringify({ apiVersion, ...object }),
  });
  return outcome(asked, answer, asObject);
}

async function remove(
  transport: Transport,
  asked: Asked,
  ref: ObjectRef,
  resourceVersion: string,
): Promise<Kube<null>> {
  const answer = await transport.send({
    method: 'DELETE',
    path: objectPath(ref),
    contentType: 'application/json',
    body: JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion } }),
  });
  return outcome(asked, answer, () => null);
}

// ── list ────────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Listed {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
}

/** Page by page. A continuation that expired (410) starts the list again. */
async function listAll(
  transport: Transport,
  asked: Asked,
  kind: KindRef,
  labelSelector?: string,
): Promise<Kube<Listed>> {
  const path = collectionPath(kind);
  for (let attempt = 1; ; attempt += 1) {
    const items: KubeObject[] = [];
    let next: string | undefined;
    do {
      const answer = await transport.send({
        method: 'GET',
        path: withQuery(path, { limit: String(PAGE), labelSelector, continue: next }),
      });
      const page = outcome(asked, answer, pageOf);
      if (!page.ok) {
        if (page.status === 410 && next !== undefined && attempt < LIST_ATTEMPTS) break;
        return page;
      }
      items.push(...page.value.items);
      next = page.value.next;
      if (next === undefined) return { ok: true, value: { items, resourceVersion: page.value.resourceVersion } };
    } while (next !== undefined);
  }
}

interface ListPage extends Listed {
  readonly next: string | undefined;
}

function pageOf(body: Record<string, unknown>): ListPage {
  const {
    apiVersion,
    kind,
    metadata = {},
    items = [],
  } = body as {
    apiVersion?: string;
    kind?: string;
    metadata?: { resourceVersion?: string; continue?: string };
    items?: readonly Record<string, unknown>[] | null;
  };
  // Items of built-in kinds come without the names of version and kind.
  const named = { apiVersion: apiVersion ?? '', kind: (kind ?? '').replace(/List$/, '') };
  return {
    items: (items ?? []).map((item) => asObject(item['kind'] === undefined ? { ...named, ...item } : item)),
    resourceVersion: metadata.resourceVersion ?? '',
    next: metadata.continue === '' ? undefined : metadata.continue,
  };
}

/** A watch begins with somebody's question and outlives it: its lists are nobody's. */
const shelfSource = (
  transport: Transport,
  asked: (verb: string, kind: KindRef) => Asked,
  tracer: Tracer,
): ShelfSource => ({
  list: (kind) => tracer.apart(() => listAll(transport, asked('list', kind), kind)),
  watch: (kind, from, timeoutSeconds, events) =>
    transport.stream(
      withQuery(collectionPath(kind), {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: from,
        timeoutSeconds: String(timeoutSeconds),
      }),
      events,
    ),
});

// ── discovery and access ────────────────────────────────────────────────────────────────────────────────────────────

function versionsOf(transport: Transport, cluster: string): KubeClient['versions'] {
  const known = new Map<string, { readonly until: number; readonly answer: Promise<Kube<readonly string[]>> }>();

  const ask = async (group: string): Promise<Kube<readonly string[]>> => {
    const about: Asked = {
      cluster,
      verb: 'discover',
      group: '',
      version: 'v1',
      plural: `API group "${group}"`,
      namespace: '',
      name: '',
    };
    const found = outcome(about, await transport.send({ method: 'GET', path: groupPath(group) }), (body) =>
      preferredFirst(body),
    );
    if (found.ok) return found;
    known.delete(group);
    return found.status === 404 ? { ok: true, value: [] } : found;
  };

  return (group) => {
    const kept = known.get(group);
    if (kept !== undefined && performance.now() < kept.until) return kept.answer;
    const answer = ask(group);
    known.set(group, { until: performance.now() + VERSIONS_MS, answer });
    return answer;
  };
}

function preferredFirst(body: Record<string, unknown>): readonly string[] {
  const { versions = [], preferredVersion } = body as {
    versions?: readonly (string | { version?: string })[];
    preferredVersion?: { version?: string };
  };
  const names = versions
    .map((entry) => (typeof entry === 'string' ? entry : entry.version))
    .filter((name) => name !== undefined);
  const first = preferredVersion?.version;
  return first === undefined ? names : [first, ...names.filter((name) => name !== first)];
}

const SELF_REVIEW = { group: 'authorization.k8s.io', version: 'v1', plural: 'selfsubjectaccessreviews' };

async function canI(transport: Transport, asked: Asked, verb: string, ref: ObjectRef): Promise<Kube<boolean>> {
  const [resource, subresource] = ref.plural.split('/');
  const { group, version, namespace, name } = ref;
  const resourceAttributes = {
    verb,
    group,
    version,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    namespace,
    name,
  };
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } };
  const answer = await transport.send({
    method: 'POST',
    path: collectionPath({ ...SELF_REVIEW, namespace: '' }),
    contentType: 'application/json',
    body: JSON.stringify(body),
  });
  return outcome(asked, answer, (review) => (review['status'] as { allowed?: boolean } | undefined)?.allowed === true);
}

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT,
};
