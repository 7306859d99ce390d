/**
 * A Kubernetes API server in process: the rows of the contract suite answered as a real one does, over HTTP, in memory.
 *
 * It is complete where this service and its tests look (reads, watches, preconditions, patches, schemas, versions,
 * ownership, access, discovery) and absent elsewhere. Three things differ on purpose: built-in kinds take no strategic
 * merge patch and no server-side apply (415), nothing runs controllers, and CEL rules of CRDs are not evaluated.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parse as parseYaml } from 'yaml';
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import { type Address, addressOf, attributesOf, numberFrom } from './address.ts';
import { discover } from './discovery.ts';
import { type FaultRule, openFaults } from './faults.ts';
import { isObject, type Json, type JsonObject, objectAt, textAt } from './json.ts';
import { ALL_KINDS, type Kind, NAMESPACE } from './kinds.ts';
import { type Account, openRbac } from './rbac.ts';
import {
  badRequest,
  failure,
  managerRequired,
  methodNotAllowed,
  notFound,
  notServed,
  Refusal,
  unsupportedPatch,
} from './refusal.ts';
import { labelTest } from './selector.ts';
import { apiVersionOf, itemThrough, labelsOf, openStorage, textThrough, versionOf } from './storage.ts';
import { openWatches } from './watches.ts';
import { type Manners, type Outcome, openWrites, type Place } from './writes.ts';

export interface KubeApiOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: ALL_KINDS. */
  readonly kinds?: readonly Kind[];
  /** Accounts by bearer token; without it everybody may do everything. */
  readonly tokens?: Readonly<Record<string, Account>>;
  /** Events kept per kind for watches that start in the past. Default 1000. */
  readonly watchHistory?: number;
  /** Time between bookmarks of a watch that asked for them. Default 60 s, as a real server's. */
  readonly bookmarkMs?: number;
  /** Milliseconds since 1970, for timestamps. */
  readonly now?: () => number;
}

/** One accepted write. */
export interface Write {
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** create, update, patch, apply, delete; put and remove: seeded, not through HTTP. */
  readonly verb: string;
  readonly path: string;
  readonly user: string | null;
  readonly fieldManager: string;
  /** false: accepted, but the object was like that already. */
  readonly changed: boolean;
  readonly before: KubeObject | null;
  readonly after: KubeObject | null;
}

export interface Seeding {
  /** Field manager of the seed. Default "kubectl". */
  readonly manager?: string;
  /** "Apply": owned as by server-side apply (Flux, Argo CD). */
  readonly operation?: 'Update' | 'Apply';
}

export interface KubeApi {
  readonly url: string;
  /** Kubeconfig (YAML) of one cluster with one context; with `token`, its bearer token. */
  kubeconfig(token?: string): string;
  /**
   * Creates or replaces an object with everything in it (status, labels, uid, creationTimestamp, generation if given).
   * Its namespace is made where it is missing. Schemas are enforced (throws), the admission webhook is not asked.
   */
  put(object: JsonObject | KubeObject, seeding?: Seeding): KubeObject;
  get(group: string, plural: string, namespace: string, name: string): KubeObject | undefined;
  /** All of a kind, of one namespace or ('') of all. */
  list(group: string, plural: string, namespace?: string): readonly KubeObject[];
  /** false: there was no such object. Finalizers do not hold it. */
  remove(group: string, plural: string, namespace: string, name: string): boolean;
  readonly journal: readonly Write[];
  /** Injects a fault into matching requests; the answer undoes it. Rules are asked in the order in which they came. */
  fail(rule: FaultRule): () => void;
  readonly requests: {
    /** All requests, faulty ones too. */
    readonly total: number;
    /** By verb ("get", "list", "watch", "patch", ...). */
    readonly verbs: Readonly<Record<string, number>>;
    /** Requests of a verb for a plural ("" for discovery). */
    count(verb: string, plural: string): number;
    reset(): void;
  };
  readonly watches: {
    /** Open streams. */
    readonly open: number;
    /** true: all streams stay open and say nothing (a watch that died silently). */
    mute(on: boolean): void;
    /** Ends all streams, politely or by cutting the connection. */
    end(how?: 'politely' | 'cut'): void;
  };
  /** Forgets past events: watches that start before now get 410. */
  compact(): void;
  /** Gives out a bearer token, or changes what it may do. From then on access is enforced. */
  grant(token: string, account: Account): void;
  /** The token is no longer accepted (401). */
  revoke(token: string): void;
  /** Starts or stops serving a kind, as installing or deleting its CRD does; objects are kept. */
  serve(kind: Kind): void;
  unserve(group: string, plural: string): void;
  stop(): Promise<void>;
}

const PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'];
const MAX_BODY = 3 * 1024 * 1024;

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const json = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  body,
  contentType: 'application/json',
  headers,
});

/** Starts the server on 127.0.0.1. */
export async function startKubeApi(options: KubeApiOptions = {}): Promise<KubeApi> {
  const now = options.now ?? Date.now;
  let kinds: readonly Kind[] = options.kinds ?? ALL_KINDS;
  const storage = openStorage(options.watchHistory ?? 1000);
  const writes = openWrites(storage, now);
  const watches = openWatches(storage, options.bookmarkMs ?? 60_000);
  const faults = openFaults();
  const rbac = openRbac(options.tokens ?? null);
  const journal: Write[] = [];
  const counts = new Map<string, number>();

  const kindOf = (group: string, plural: string): Kind | undefined =>
    kinds.find((kind) => kind.group === group && kind.plural === plural);

  const placeOf = (address: Address, name = address.name): Place => {
    const kind = kindOf(address.group, address.plural);
    const version = kind === undefined ? undefined : versionOf(kind, address.version);
    const known = address.subresource === '' || (address.subresource === 'status' && kind?.statusSubresource === true);
    if (kind === undefined || version === undefined || !known) throw notServed();
    return { kind, version, namespace: address.namespace, name, status: address.subresource === 'status' };
  };

  const record = (
    verb: string,
    path: string,
    user: string | null,
    manager: string,
    outcome: Outcome,
    deleted: boolean,
  ): void => {
    const before = outcome.before?.object ?? null;
    const after = deleted ? null : (outcome.stored?.object ?? before);
    journal.push({
      seq: journal.length + 1,
      at: now(),
      verb,
      path,
      user,
      fieldManager: manager,
      changed: outcome.stored !== null,
      before: before as KubeObject | null,
      after: after as KubeObject | null,
    });
  };

  // ── verbs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  const get = (address: Address): Reply => {
    const place = placeOf(address);
    const entry = storage.find(place.kind, place.namespace, place.name);
    if (entry === undefined) throw notFound(place.kind, place.name);
    return json(200, textThrough(entry, place.version));
  };

  const list = (address: Address): Reply => {
    const { kind, version, namespace } = placeOf(address);
    const chosen = labelTest(address.query.get('labelSelector'));
    const name = nameSelector(address.query);
    const entries = storage
      .all(kind, namespace)
      .filter((entry) => chosen(labelsOf(entry)) && (name === null || entry.name === name));
    const { page, next, left } = pageOf(entries, address.query);
    const items = page.map((entry) => itemThrough(entry, version)).join(',');
    const metadata = {
      resourceVersion: String(storage.revision()),
      ...(next === null ? {} : { continue: next, remainingItemCount: left }),
    };
    const head = `{"apiVersion":"${apiVersionOf(kind, version.name)}","kind":"${kind.kind}List","metadata":${JSON.stringify(metadata)}`;
    return json(200, `${head},"items":[${items}]}`);
  };

  const watch = (address: Address, response: ServerResponse, mute: boolean): void => {
    const { kind, version, namespace } = placeOf(address);
    const { query } = address;
    const from = numberFrom(query, 'resourceVersion');
    watches.open(
      {
        kind,
        version,
        namespace,
        from: from === 0 ? null : from,
        labels: labelTest(query.get('labelSelector')),
        name: nameSelector(query),
        bookmarks: query.get('allowWatchBookmarks') === 'true',
        timeout: numberFrom(query, 'timeoutSeconds'),
        mute,
      },
      response,
    );
  };

  const review = (account: Account | null, body: JsonObject): Reply => {
    const spec = objectAt(body, 'spec');
    const asked = objectAt(spec, 'resourceAttributes');
    const subresource = textAt(asked, 'subresource') ?? '';
    const resource = textAt(asked, 'resource') ?? '';
    const allowed = rbac.allows(account, {
      verb: textAt(asked, 'verb') ?? '',
      group: textAt(asked, 'group') ?? '',
      resource: subresource === '' ? resource : `${resource}/${subresource}`,
      namespace: textAt(asked, 'namespace') ?? '',
      name: textAt(asked, 'name') ?? '',
    });
    const answer = {
      kind: 'SelfSubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: { creationTimestamp: null },
      spec,
      status: { allowed },
    };
    return json(201, JSON.stringify(answer));
  };

  const write = (address: Address, request: IncomingMessage, body: Json, account: Account | null): Reply => {
    const manners = mannersOf(address, request);
    const type = contentType(request);
    const done = (verb: string, place: Place, outcome: Outcome): Reply => {
      if (!manners.dryRun)
        record(
          verb,
          request.url ?? '',
          account?.user ?? null,
          manners.manager,
          outcome,
          verb === 'delete' && !isMarked(outcome),
        );
      const headers =
        outcome.warnings.length > 0
          ? { warning: outcome.warnings.map((words) => `299 - ${JSON.stringify(words)}`).join(', ') }
          : {};
      const text =
        outcome.stored === null || verb === 'delete'
          ? JSON.stringify(outcome.answer)
          : textThrough(outcome.stored, place.version);
      return json(outcome.created ? 201 : 200, text, headers);
    };
    switch (address.verb) {
      case 'create': {
        const object = typed(placeOf(address), body);
        const place = placeOf(address, nameFor(object));
        return done('create', place, writes.create(place, object, manners));
      }
      case 'update': {
        const place = placeOf(address);
        return done('update', place, writes.replace(place, typed(place, body), manners));
      }
      case 'patch': {
        const place = placeOf(address);
        return done(
          type === PATCH_TYPES[2] ? 'apply' : 'patch',
          place,
          patch(place, type, body, manners, address.query),
        );
      }
      case 'delete': {
        const place = placeOf(address);
        return done('delete', place, writes.remove(place, objectAt(body, 'preconditions'), manners));
      }
      default:
        placeOf(address);
        throw methodNotAllowed();
    }
  };

  const patch = (place: Place, type: string, body: Json, manners: Manners, query: URLSearchParams): Outcome => {
    if (type === PATCH_TYPES[0]) return writes.jsonPatch(place, body, manners);
    if (type === PATCH_TYPES[1]) return writes.mergePatch(place, body, manners);
    if (type === PATCH_TYPES[2] && !query.has('fieldManager')) throw managerRequired();
    if (type === PATCH_TYPES[2] && !place.kind.builtIn) return writes.apply(place, typed(place, body), manners);
    throw unsupportedPatch(PATCH_TYPES);
  };

  // ── a request ─────────────────────────────────────────────────────────────────────────────────────────────────────

  const answer = async (
    address: Address,
    request: IncomingMessage,
    response: ServerResponse,
    rule: FaultRule | null,
  ): Promise<Reply | null> => {
    const account = rbac.authenticate(request.headers.authorization);
    if (address.verb === 'discovery') return discovery(address);
    rbac.authorize(account, attributesOf(address));
    if (address.verb === 'watch') {
      watch(address, response, rule?.mute === true);
      return null;
    }
    if (address.verb === 'get') return get(address);
    if (address.verb === 'list') return list(address);
    const body = parseBody(request, await bodyOf(request));
    if (address.group === 'authorization.k8s.io' && address.plural === 'selfsubjectaccessreviews')
      return review(account, isObject(body) ? body : {});
    return write(address, request, body, account);
  };

  const discovery = (address: Address): Reply => {
    const [first] = address.parts;
    if (first === 'livez' || first === 'readyz' || first === 'healthz')
      return { status: 200, body: 'ok', contentType: 'text/plain; charset=utf-8' };
    const found = discover(kinds, address.parts);
    if (found === null) throw notServed();
    return json(200, JSON.stringify(found));
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = request.url ?? '/';
    const address = addressOf(request.method ?? 'GET', url);
    const counted = `${address.verb} ${address.plural}`;
    counts.set(counted, (counts.get(counted) ?? 0) + 1);
    const rule = faults.take(address.verb, url);
    if (rule?.after !== true) await pause(rule);
    if (rule !== null && rule.after !== true && breakAnswer(rule, response)) return;
    const reply = await answer(address, request, response, rule).catch(refusalToReply);
    if (reply === null || response.destroyed) return;
    if (rule?.after === true) await pause(rule);
    if (rule?.after === true && breakAnswer(rule, response)) return;
    send(response, reply);
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      // The client went away in the middle of its request.
      if (request.socket.destroyed) return;
      // A bug in this server must not look like a behaviour of Kubernetes.
      response.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  // ── seeding ───────────────────────────────────────────────────────────────────────────────────────────────────────

  const put = (given: JsonObject | KubeObject, seeding: Seeding = {}): KubeObject => {
    const object = JSON.parse(JSON.stringify(given)) as JsonObject;
    const apiVersion = textAt(object, 'apiVersion') ?? '';
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    const kind = kinds.find((known) => known.group === group && known.kind === object['kind']);
    const known = kind === undefined ? undefined : versionOf(kind, version ?? '');
    if (kind === undefined || known === undefined)
      throw new Error(`put: ${apiVersion} ${String(object['kind'])} is not served`);
    const metadata = objectAt(object, 'metadata');
    const name = textAt(metadata, 'name');
    if (name === undefined) throw new Error(`put: the ${kind.kind} has no metadata.name`);
    const namespace = kind.namespaced ? (textAt(metadata, 'namespace') ?? 'default') : '';
    if (kind.namespaced && storage.find(NAMESPACE, '', namespace) === undefined)
      put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    const manners: Manners = {
      manager: seeding.manager ?? 'kubectl',
      dryRun: false,
      force: true,
      unknown: 'Ignore',
      seed: true,
    };
    const place: Place = { kind, version: known, namespace, name, status: false };
    const outcome = writes.seed(place, object, manners, seeding.operation ?? 'Update');
    record('put', pathOf(place), null, manners.manager, outcome, false);
    return (outcome.stored ?? outcome.before)?.object as unknown as KubeObject;
  };

  const find = (group: string, plural: string, namespace: string, name: string): ReturnType<typeof storage.find> => {
    const kind = kindOf(group, plural);
    if (kind === undefined)
      throw new Error(
        `${plural}.${group} is not served; served: ${kinds.map((k) => `${k.plural}.${k.group}`).join(', ')}`,
      );
    return storage.find(kind, kind.namespaced ? namespace : '', name);
  };

  return {
    url,
    kubeconfig: (token) => kubeconfigOf(url, token),
    put,
    get: (group, plural, namespace, name) => find(group, plural, namespace, name)?.object as KubeObject | undefined,
    list(group, plural, namespace = '') {
      const kind = kindOf(group, plural);
      return kind === undefined
        ? []
        : storage.all(kind, namespace).map((entry) => entry.object as unknown as KubeObject);
    },
    remove(group, plural, namespace, name) {
      const entry = find(group, plural, namespace, name);
      if (entry === undefined) return false;
      const stored = storage.remove(entry);
      record(
        'remove',
        pathOf(entry),
        null,
        'kubectl',
        { before: entry, stored, created: false, answer: {}, warnings: [] },
        true,
      );
      return true;
    },
    journal,
    fail: faults.add,
    requests: {
      get total() {
        return [...counts.values()].reduce((sum, count) => sum + count, 0);
      },
      get verbs() {
        const verbs: Record<string, number> = {};
        for (const [key, count] of counts) {
          const verb = key.slice(0, key.indexOf(' '));
          verbs[verb] = (verbs[verb] ?? 0) + count;
        }
        return verbs;
      },
      count: (verb, plural) => counts.get(`${verb} ${plural}`) ?? 0,
      reset: () => counts.clear(),
    },
    watches: {
      get open() {
        return watches.count();
      },
      mute: watches.mute,
      end: (how = 'politely') => watches.end(how),
    },
    compact: storage.compact,
    grant: rbac.grant,
    revoke: rbac.revoke,
    serve(kind) {
      kinds = [...kinds.filter((known) => known.group !== kind.group || known.plural !== kind.plural), kind];
    },
    unserve(group, plural) {
      kinds = kinds.filter((known) => known.group !== group || known.plural !== plural);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

// ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function send(response: ServerResponse, { status, body, contentType: type, headers = {} }: Reply): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-cache, private',
    ...headers,
  });
  response.end(bytes);
}

const pause = async (rule: FaultRule | null): Promise<void> => {
  if (rule?.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, rule.delayMs));
};

/** Breaks the answer as the rule says; false: the rule leaves the answer alone. */
function breakAnswer(rule: FaultRule, response: ServerResponse): boolean {
  if (rule.hang === true) return true;
  if (rule.drop === true) {
    response.destroy();
    return true;
  }
  if (rule.status === undefined) return false;
  const headers = rule.retryAfter === undefined ? {} : { 'retry-after': String(rule.retryAfter) };
  if (rule.body !== undefined)
    send(response, { status: rule.status, body: rule.body.text, contentType: rule.body.contentType, headers });
  else
    send(
      response,
      json(
        rule.status,
        JSON.stringify(failure(rule.status, REASONS[rule.status] ?? '', rule.message ?? `injected: ${rule.status}`)),
        headers,
      ),
    );
  return true;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function refusalToReply(error: unknown): Reply {
  if (!(error instanceof Refusal)) throw error;
  if (typeof error.body === 'string')
    return { status: error.status, body: error.body, contentType: 'text/plain; charset=utf-8', headers: error.headers };
  return json(error.status, JSON.stringify(error.body), error.headers);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY)
      throw new Refusal(413, failure(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BODY}`));
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const contentType = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim() ?? '';

function parseBody(request: IncomingMessage, text: string): Json {
  if (text === '') return {};
  try {
    return (contentType(request).endsWith('yaml') ? parseYaml(text) : JSON.parse(text)) as Json;
  } catch (error) {
    throw badRequest(`the object provided is unrecognized: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function typed(place: Place, body: Json): JsonObject {
  if (!isObject(body)) throw badRequest('the object provided is no object');
  const apiVersion = apiVersionOf(place.kind, place.version.name);
  if (body['apiVersion'] !== apiVersion || body['kind'] !== place.kind.kind)
    throw badRequest(
      `the API version or kind in the data (${String(body['apiVersion'])}, ${String(body['kind'])}) does not match the expected (${apiVersion}, ${place.kind.kind})`,
    );
  return body;
}

function nameFor(object: JsonObject): string {
  const metadata = objectAt(object, 'metadata');
  const prefix = textAt(metadata, 'generateName');
  const name =
    textAt(metadata, 'name') ??
    (prefix === undefined ? undefined : `${prefix}${Math.random().toString(36).slice(2, 7)}`);
  if (name === undefined) throw badRequest('resource name may not be empty');
  return name;
}

function mannersOf({ query }: Address, request: IncomingMessage): Manners {
  const unknown = query.get('fieldValidation');
  const dryRun = query.get('dryRun');
  if (dryRun !== null && dryRun !== 'All')
    throw badRequest(`dryRun: Unsupported value: "${dryRun}": supported values: "All"`);
  const agent = (request.headers['user-agent'] ?? 'unknown').split('/')[0] ?? 'unknown';
  return {
    manager: query.get('fieldManager') ?? agent,
    dryRun: dryRun === 'All',
    force: query.get('force') === 'true',
    unknown: unknown === 'Strict' || unknown === 'Ignore' ? unknown : 'Warn',
    seed: false,
  };
}

const isMarked = (outcome: Outcome): boolean =>
  objectAt(outcome.stored?.object, 'metadata')['deletionTimestamp'] !== undefined;

function nameSelector(query: URLSearchParams): string | null {
  const selector = query.get('fieldSelector');
  if (selector === null) return null;
  const found = /^metadata\.name==?([\w.-]+)$/.exec(selector);
  if (found === null) throw badRequest(`field label not supported: ${selector}`);
  return found[1] as string;
}

function pageOf<T>(
  all: readonly T[],
  query: URLSearchParams,
): { page: readonly T[]; next: string | null; left: number } {
  const start = numberFrom(query, 'continue') ?? 0;
  const limit = numberFrom(query, 'limit') ?? 0;
  const page = limit > 0 ? all.slice(start, start + limit) : all.slice(start);
  const end = start + page.length;
  return { page, next: end < all.length ? String(end) : null, left: all.length - end };
}

const pathOf = ({ kind, namespace, name }: Pick<Place, 'kind' | 'namespace' | 'name'>): string => {
  const root = kind.group === '' ? `/api/${kind.storage}` : `/apis/${kind.group}/${kind.storage}`;
  return `${root}${kind.namespaced ? `/namespaces/${namespace}` : ''}/${kind.plural}/${name}`;
};

const kubeconfigOf = (server: string, token: string | undefined): string => `apiVersion: v1
kind: Config
current-context: sandbox
clusters:
  - name: sandbox
    cluster:
      server: ${server}
      insecure-skip-tls-verify: true
users:
  - name: sandbox
    user: ${token === undefined ? '{}' : `{ token: ${JSON.stringify(token)} }`}
contexts:
  - name: sandbox
    context: { cluster: sandbox, user: sandbox }
`;
