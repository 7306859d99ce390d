/**
 * A Kubernetes API server in process: the rows of the contract suite answered as a real one does, over HTTP, in memory.
 *
 * It is complete where this service and its tests look (reads, watches, preconditions, patches, schemas, versions,
 * ownership, access, discovery) and absent elsewhere. Three things differ on purpose: built-in kinds take no strategic
 * merge patch and no server-side apply (415), nothing runs controllers, and CEL rules of CRDs are not evaluated.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import { type Address, addressOf, attributesOf, numberFrom } from './address.ts';
import type { KubeApi, KubeApiOptions, Seeding, Write } from './api.ts';
import { discover } from './discovery.ts';
import { type FaultRule, openFaults } from './faults.ts';
import { isObject, type Json, type JsonObject, objectAt, textAt } from './json.ts';
import { ALL_KINDS, type Kind, NAMESPACE } from './kinds.ts';
import { type Account, openRbac } from './rbac.ts';
import { fromTheFuture, managerRequired, methodNotAllowed, notFound, notServed, unsupportedPatch } from './refusal.ts';
import { breakAnswer, json, pause, type Reply, refusalToReply, send } from './replies.ts';
import {
  bodyOf,
  contentType,
  mannersOf,
  nameFor,
  nameSelector,
  PATCH_TYPES,
  pageOf,
  parseBody,
  typed,
} from './requests.ts';
import { scaleOf, writeScale } from './scale.ts';
import { labelTest } from './selector.ts';
import { apiVersionOf, itemThrough, labelsOf, openStorage, textThrough, versionOf } from './storage.ts';
import { openWatches } from './watches.ts';
import { type Manners, type Outcome, openWrites, type Place } from './writes.ts';

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
  const journalLimit = options.journalLimit ?? Number.POSITIVE_INFINITY;
  let writesSeen = 0;
  const counts = new Map<string, number>();

  const kindOf = (group: string, plural: string): Kind | undefined =>
    kinds.find((kind) => kind.group === group && kind.plural === plural);

  const placeOf = (address: Address): Place => {
    const kind = kindOf(address.group, address.plural);
    const version = kind === undefined ? undefined : versionOf(kind, address.version);
    if (kind === undefined || version === undefined) throw notServed();
    const known =
      address.subresource === '' ||
      (address.subresource === 'status' && kind.statusSubresource) ||
      (address.subresource === 'scale' && kind.scaleSubresource);
    if (!known) throw notFound(kind, address.name);
    return {
      kind,
      version,
      namespace: address.namespace,
      name: address.name,
      status: address.subresource === 'status',
    };
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
    writesSeen += 1;
    // Trimmed in slabs: a shift per write would copy the list every time.
    if (journal.length >= journalLimit * 2) journal.splice(0, journal.length - journalLimit);
    journal.push({
      seq: writesSeen,
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
    if (address.subresource === 'scale') return json(200, JSON.stringify(scaleOf(entry)));
    return json(200, textThrough(entry, place.version));
  };

  const list = (address: Address): Reply => {
    const { kind, version, namespace } = placeOf(address);
    const atLeast = numberFrom(address.query, 'resourceVersion') ?? 0;
    if (atLeast > storage.revision()) throw fromTheFuture(atLeast, storage.revision());
    const chosen = labelTest(address.query.get('labelSelector'));
    const name = nameSelector(address.query);
    const entries = storage
      .all(kind, namespace)
      .filter((entry) => chosen(labelsOf(entry)) && (name === null || entry.name === name));
    const { page, next, left } = pageOf(entries, address.query);
    const items = page.map((entry) => itemThrough(entry, version)).join(',');
    const metadata = {
      resourceVersion: String(storage.revision()),
      continue: next ?? '',
      ...(next === null ? {} : { remainingItemCount: left }),
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
    const scaling = address.subresource === 'scale';
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
      const scale = scaling ? (outcome.stored ?? outcome.before) : null;
      if (scale !== null) return json(200, JSON.stringify(scaleOf(scale)), headers);
      return json(outcome.created ? 201 : 200, text, headers);
    };
    if (scaling && (address.verb === 'update' || address.verb === 'patch')) {
      const place = placeOf(address);
      const before = storage.find(place.kind, place.namespace, place.name);
      if (before === undefined) throw notFound(place.kind, place.name);
      const patching = address.verb === 'patch' ? type : null;
      return done(address.verb, place, writeScale(writes, place, before, patching, body, manners));
    }
    switch (scaling ? 'neither' : address.verb) {
      case 'create': {
        const collection = placeOf(address);
        const object = typed(collection, body);
        const place = { ...collection, name: nameFor(collection, object) };
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
      patching: false,
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

const isMarked = (outcome: Outcome): boolean =>
  objectAt(outcome.stored?.object, 'metadata')['deletionTimestamp'] !== undefined;

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
