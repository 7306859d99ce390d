/**
 * How a Kubernetes API server answers, as far as this service relies on it. The same cases run against the API server
 * in process and, where KUBECONFIG_CONTRACT names a kubeconfig, against a real one.
 */
import { expect } from 'vitest';
import { type Kind, LINKERD_HTTP_ROUTE, TRAFFIC_SPLIT, VIRTUAL_SERVICE } from '../../src/sandbox/kube-api/index.ts';
import {
  APPLY,
  type Body,
  JSON_PATCH,
  type KubeHttp,
  MERGE_PATCH,
  type Reply,
  STRATEGIC,
} from '../support/kube-http.ts';
import { httpRoute, trafficSplit, virtualService } from '../support/kube-objects.ts';

export interface Server {
  readonly http: KubeHttp;
  readonly namespace: string;
  readonly what: 'in process' | 'real';
  /** 30 of v1.30. */
  readonly minor: number;
}

export interface Case {
  readonly name: string;
  /** Why it cannot run against this server; null: it can. */
  readonly skip?: (server: Pick<Server, 'what' | 'minor'>) => string | null;
  readonly run: (server: Server) => Promise<void>;
}

const ISTIO = '/apis/networking.istio.io/v1';
const SMI = '/apis/split.smi-spec.io';
const LINKERD = '/apis/policy.linkerd.io';
const BARE = 'the server rejected our request due to an error in our request';

export const KINDS: readonly Kind[] = [VIRTUAL_SERVICE, TRAFFIC_SPLIT, LINKERD_HTTP_ROUTE];

let names = 0;

/** One object of its own for every case. */
class Subject {
  readonly name: string;
  readonly collection: string;
  readonly path: string;
  readonly server: Server;

  constructor(server: Server, root: string, plural: string) {
    names += 1;
    this.name = `case-${names}`;
    this.server = server;
    this.collection = `${root}/namespaces/${server.namespace}/${plural}`;
    this.path = `${this.collection}/${this.name}`;
  }

  get named(): { namespace: string; name: string } {
    return { namespace: this.server.namespace, name: this.name };
  }

  at(root: string, plural: string): string {
    return `${root}/namespaces/${this.server.namespace}/${plural}/${this.name}`;
  }

  async create(object: unknown, query = ''): Promise<Body> {
    const reply = await this.server.http.send('POST', this.collection + query, object);
    expect(reply.status, reply.text).toBe(201);
    return reply.json();
  }

  async get(path = this.path): Promise<Body> {
    const reply = await this.server.http.send('GET', path);
    expect(reply.status, reply.text).toBe(200);
    return reply.json();
  }

  patch(ops: unknown, query = '', path = this.path): Promise<Reply> {
    return this.server.http.send('PATCH', path + query, ops, JSON_PATCH);
  }

  merge(patch: unknown, path = this.path): Promise<Reply> {
    return this.server.http.send('PATCH', path, patch, MERGE_PATCH);
  }

  apply(config: unknown, manager: string, force = false): Promise<Reply> {
    return this.server.http.send('PATCH', `${this.path}?fieldManager=${manager}&force=${force}`, config, APPLY);
  }
}

async function split(
  server: Server,
  weights: readonly [number, number] = [100, 0],
): Promise<Subject & { first: Body }> {
  const subject = new Subject(server, ISTIO, 'virtualservices');
  const first = await subject.create(virtualService(weights, subject.named));
  return Object.assign(subject, { first });
}

/** The same with a second write, so that `first` is stale. */
async function changedSplit(server: Server): Promise<Subject & { first: Body }> {
  const subject = await split(server);
  const changed = await subject.patch([{ op: 'add', path: '/metadata/labels', value: { changed: 'yes' } }]);
  expect(changed.status, changed.text).toBe(200);
  return subject;
}

const weight = (i: number): string => `/spec/http/1/route/${i}/weight`;
const weightsOf = (body: Body): unknown[] => body.spec.http[1].route.map((route: { weight: number }) => route.weight);
const step = (stable: number, canary: number): unknown[] => [
  { op: 'replace', path: weight(0), value: stable },
  { op: 'replace', path: weight(1), value: canary },
];
const owners = (body: Body, field: string): string[] =>
  (body.metadata.managedFields ?? [])
    .filter((entry) => entry.fieldsV1?.['f:spec']?.[`f:${field}`] !== undefined)
    .map((entry) => entry.manager);

const onlyInProcess =
  (why: string): NonNullable<Case['skip']> =>
  ({ what }) =>
    what === 'real' ? why : null;

export const cases: readonly Case[] = [
  {
    name: 'JSON patch: replacing resourceVersion with a stale one is 409',
    async run(server) {
      const subject = await changedSplit(server);
      const reply = await subject.patch([
        { op: 'replace', path: '/metadata/resourceVersion', value: subject.first.metadata.resourceVersion },
        ...step(75, 25),
      ]);
      expect(reply.status).toBe(409);
      expect(reply.json()).toMatchObject({ kind: 'Status', reason: 'Conflict', code: 409 });
      expect(reply.json().message).toContain('the object has been modified');
      expect(weightsOf(await subject.get())).toEqual([100, 0]);
    },
  },
  {
    name: 'JSON patch: replacing resourceVersion with the present one goes through',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch([
        { op: 'replace', path: '/metadata/resourceVersion', value: subject.first.metadata.resourceVersion },
        ...step(75, 25),
      ]);
      expect(reply.status, reply.text).toBe(200);
      expect(weightsOf(reply.json())).toEqual([75, 25]);
      expect(reply.json().metadata.resourceVersion).not.toBe(subject.first.metadata.resourceVersion);
    },
  },
  {
    name: 'JSON patch: testing a stale resourceVersion is 422 without a reason',
    async run(server) {
      const subject = await changedSplit(server);
      const reply = await subject.patch([
        { op: 'test', path: '/metadata/resourceVersion', value: subject.first.metadata.resourceVersion },
      ]);
      expect(reply.status).toBe(422);
      expect(reply.json()).toMatchObject({ reason: 'Invalid', message: BARE });
    },
  },
  {
    name: 'JSON patch: a test of a destination that moved is 422 without a reason',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch([
        { op: 'test', path: '/spec/http/1/route/0/destination/subset', value: 'v2' },
        ...step(75, 25),
      ]);
      expect(reply.status).toBe(422);
      expect(reply.json().message).toBe(BARE);
      expect(weightsOf(await subject.get())).toEqual([100, 0]);
    },
  },
  {
    name: 'JSON patch: a missing path is 422 without a reason',
    async run(server) {
      const subject = await split(server);
      for (const op of [
        { op: 'replace', path: '/spec/http/7/route/0/weight', value: 1 },
        { op: 'replace', path: '/spec/nothing/here', value: 1 },
        { op: 'remove', path: '/spec/http/1/fault' },
        { op: 'test', path: '/spec/http/1/fault', value: 1 },
      ]) {
        const reply = await subject.patch([op]);
        expect(reply.status, JSON.stringify(op)).toBe(422);
        expect(reply.json().message).toBe(BARE);
      }
    },
  },
  {
    name: 'JSON patch: what is no list of operations is 400',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch({ spec: {} });
      expect(reply.status, reply.text).toBe(400);
      expect(reply.json().kind).toBe('Status');
    },
  },
  {
    name: 'JSON patch: an operation that changes nothing keeps the resourceVersion',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch(step(100, 0));
      expect(reply.status).toBe(200);
      expect(reply.json().metadata.resourceVersion).toBe(subject.first.metadata.resourceVersion);
    },
  },
  {
    name: 'merge patch: a stale resourceVersion is 409',
    async run(server) {
      const subject = await changedSplit(server);
      const reply = await subject.merge({
        metadata: { resourceVersion: subject.first.metadata.resourceVersion, annotations: { a: 'b' } },
      });
      expect(reply.status).toBe(409);
    },
  },
  {
    name: 'merge patch: a list replaces the whole list',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.merge({
        spec: { http: [{ name: 'only', route: [{ destination: { host: 'myapp' } }] }] },
      });
      expect(reply.status, reply.text).toBe(200);
      expect(reply.json().spec.http).toHaveLength(1);
    },
  },
  {
    name: 'merge patch: null removes an annotation',
    async run(server) {
      const subject = new Subject(server, ISTIO, 'virtualservices');
      await subject.create(virtualService([100, 0], { ...subject.named, annotations: { a: '1', b: '2' } }));
      const reply = await subject.merge({ metadata: { annotations: { a: null } } });
      expect(reply.json().metadata.annotations).toEqual({ b: '2' });
    },
  },
  {
    name: 'strategic merge patch of a custom resource is 415',
    async run(server) {
      const subject = await split(server);
      const reply = await server.http.send('PATCH', subject.path, { metadata: { annotations: { a: 'b' } } }, STRATEGIC);
      expect(reply.status).toBe(415);
      expect(reply.json().reason).toBe('UnsupportedMediaType');
    },
  },
  {
    name: 'PUT without resourceVersion is 422, stale 409, unchanged 200 with the same resourceVersion',
    async run(server) {
      const subject = await changedSplit(server);
      const present = await subject.get();
      const { resourceVersion: _, ...metadata } = present.metadata;
      const without = await server.http.send('PUT', subject.path, { ...present, metadata });
      expect(without.status).toBe(422);
      expect(without.json().message).toContain('must be specified for an update');
      const stale = await server.http.send('PUT', subject.path, {
        ...present,
        metadata: { ...metadata, resourceVersion: subject.first.metadata.resourceVersion },
      });
      expect(stale.status).toBe(409);
      const same = await server.http.send('PUT', subject.path, present);
      expect(same.status, same.text).toBe(200);
      expect(same.json().metadata.resourceVersion).toBe(present.metadata.resourceVersion);
    },
  },
  {
    name: 'server-side apply of one rule by another manager conflicts; forced, the other rules are gone',
    async run(server) {
      const subject = await split(server);
      const config = {
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: subject.named,
        spec: { http: [{ name: 'api', route: [{ destination: { host: 'myapp', subset: 'v1' }, weight: 75 }] }] },
      };
      const conflict = await subject.apply(config, 'other');
      expect(conflict.status).toBe(409);
      expect(conflict.json().message).toContain('.spec.http');
      expect(conflict.json().details.causes[0]).toMatchObject({ reason: 'FieldManagerConflict', field: '.spec.http' });
      const forced = await subject.apply(config, 'other', true);
      expect(forced.status, forced.text).toBe(200);
      expect(forced.json().spec.http).toHaveLength(1);
      expect(forced.json().spec.hosts).toEqual(['myapp']);
      expect(owners(forced.json(), 'http')).toEqual(['other']);
    },
  },
  {
    name: 'an object that GitOps applied: our patch takes over the rules, its next apply conflicts, forced it reverts',
    async run(server) {
      const subject = new Subject(server, ISTIO, 'virtualservices');
      const manifest = virtualService([100, 0], subject.named);
      const created = await subject.apply(manifest, 'kustomize-controller');
      expect(created.status, created.text).toBe(201);
      expect(owners(created.json(), 'http')).toEqual(['kustomize-controller']);
      const patched = await subject.patch(step(75, 25), '?fieldManager=sluice');
      expect(owners(patched.json(), 'http')).toEqual(['sluice']);
      expect(owners(patched.json(), 'hosts')).toEqual(['kustomize-controller']);
      const conflict = await subject.apply(manifest, 'kustomize-controller');
      expect(conflict.status).toBe(409);
      expect(conflict.json().message).toContain('conflict with "sluice"');
      const forced = await subject.apply(manifest, 'kustomize-controller', true);
      expect(forced.status, forced.text).toBe(200);
      expect(weightsOf(forced.json())).toEqual([100, 0]);
      expect(owners(forced.json(), 'http')).toEqual(['kustomize-controller']);
    },
  },
  {
    name: 'a forced apply of a manifest without rules leaves our weights alone',
    async run(server) {
      const subject = await split(server);
      await subject.patch(step(75, 25), '?fieldManager=sluice');
      const manifest = {
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: subject.named,
        spec: { hosts: ['myapp'] },
      };
      const forced = await subject.apply(manifest, 'kustomize-controller', true);
      expect(forced.status, forced.text).toBe(200);
      expect(weightsOf(forced.json())).toEqual([75, 25]);
    },
  },
  {
    name: 'server-side apply without a field manager is refused',
    async run(server) {
      const subject = await split(server);
      const reply = await server.http.send('PATCH', subject.path, virtualService([1, 2], subject.named), APPLY);
      expect(reply.status, reply.text).toBe(422);
    },
  },
  {
    name: 'a weight that is text or a fraction is 422 and names the field',
    async run(server) {
      const subject = await split(server);
      for (const value of ['75', 12.5]) {
        const reply = await subject.patch([{ op: 'replace', path: weight(0), value }]);
        expect(reply.status, reply.text).toBe(422);
        expect(reply.json().message).toMatch(
          /VirtualService\.networking\.istio\.io "case-\d+" is invalid: .*weight.*must be of type integer/,
        );
        expect(reply.json().details.causes[0].field).toMatch(/^spec\.http(\[1\])?\.route(\[0\])?\.weight$/);
      }
    },
  },
  {
    name: 'a destination without host is 422 Required value',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch([{ op: 'remove', path: '/spec/http/1/route/0/destination/host' }]);
      expect(reply.status).toBe(422);
      expect(reply.json().message).toContain('Required value');
    },
  },
  {
    name: 'an unknown field of a closed spec is pruned without an error',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch([
        { op: 'add', path: '/spec/http/1/unheardOf', value: { deep: true } },
        ...step(90, 10),
      ]);
      expect(reply.status, reply.text).toBe(200);
      expect(reply.json().spec.http[1]).not.toHaveProperty('unheardOf');
      expect(weightsOf(reply.json())).toEqual([90, 10]);
      if (server.minor >= 27)
        expect(reply.headers['warning']).toBe(String.raw`299 - "unknown field \"spec.http[1].unheardOf\""`);
    },
  },
  {
    name: 'fieldValidation=Strict refuses an unknown field: 422 in a patch, 400 in a whole object',
    skip: ({ minor }) => (minor < 27 ? 'field validation is older than this server' : null),
    async run(server) {
      const subject = await split(server);
      const strict = '?fieldValidation=Strict';
      const patched = await subject.patch([{ op: 'add', path: '/spec/http/1/unheardOf', value: 1 }], strict);
      expect(patched.status, patched.text).toBe(422);
      expect(patched.json().message).toMatch(/strict decoding error: unknown field "spec\.http\[1\]\.unheardOf"$/);
      const whole = await server.http.send('PUT', subject.path + strict, {
        ...subject.first,
        spec: { ...subject.first.spec, unheardOf: 1 },
      });
      expect(whole.status, whole.text).toBe(400);
      expect(whole.json().message).toContain('unknown field "spec.unheardOf"');
    },
  },
  {
    name: 'dryRun=All answers as if written and stores nothing',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch(step(75, 25), '?dryRun=All');
      expect(reply.status).toBe(200);
      expect(weightsOf(reply.json())).toEqual([75, 25]);
      expect(reply.json().metadata.generation).toBe(2);
      const after = await subject.get();
      expect(weightsOf(after)).toEqual([100, 0]);
      expect(after.metadata.resourceVersion).toBe(subject.first.metadata.resourceVersion);
    },
  },
  {
    name: 'dryRun=All validates in full',
    async run(server) {
      const subject = await changedSplit(server);
      const shape = await subject.patch([{ op: 'replace', path: weight(0), value: '75' }], '?dryRun=All');
      expect(shape.status).toBe(422);
      const stale = await subject.patch(
        [{ op: 'replace', path: '/metadata/resourceVersion', value: subject.first.metadata.resourceVersion }],
        '?dryRun=All',
      );
      expect(stale.status).toBe(409);
    },
  },
  {
    name: 'an annotation cannot be added where the map is absent; with the map it can, and / is written ~1',
    async run(server) {
      const subject = await split(server);
      const add = { op: 'add', path: '/metadata/annotations/sluice.dev~1decision', value: 'x' };
      const missing = await subject.patch([add]);
      expect(missing.status).toBe(422);
      expect(missing.json().message).toBe(BARE);
      const made = await subject.patch([{ op: 'add', path: '/metadata/annotations', value: {} }, add]);
      expect(made.status, made.text).toBe(200);
      expect(made.json().metadata.annotations).toEqual({ 'sluice.dev/decision': 'x' });
    },
  },
  {
    name: 'an annotation that is no text is refused',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch([{ op: 'add', path: '/metadata/annotations', value: { a: 1 } }]);
      expect(reply.status, reply.text).toBe(422);
      expect((await subject.get()).metadata.annotations).toBeUndefined();
    },
  },
  {
    name: 'weights and annotation in one patch are one generation',
    async run(server) {
      const subject = await split(server);
      expect(subject.first.metadata.generation).toBe(1);
      const reply = await subject.patch([
        { op: 'add', path: '/metadata/annotations', value: { a: 'b' } },
        ...step(75, 25),
      ]);
      expect(reply.json().metadata.generation).toBe(2);
    },
  },
  {
    name: 'an annotation alone leaves the generation and moves the resourceVersion',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch([{ op: 'add', path: '/metadata/annotations', value: { a: 'b' } }]);
      expect(reply.json().metadata.generation).toBe(1);
      expect(reply.json().metadata.resourceVersion).not.toBe(subject.first.metadata.resourceVersion);
    },
  },
  {
    name: 'annotations of more than 262,144 bytes in total are 422',
    async run(server) {
      const subject = await split(server);
      const annotations = (bytes: number): unknown[] => [
        { op: 'add', path: '/metadata/annotations', value: { a: 'x'.repeat(bytes - 1) } },
      ];
      const fits = await subject.patch(annotations(262_144));
      expect(fits.status).toBe(200);
      const over = await subject.patch(annotations(262_145));
      expect(over.status).toBe(422);
      expect(over.json().message).toContain('Too long');
    },
  },
  {
    name: 'eight writers that read and compare-and-swap lose no update',
    async run(server) {
      const subject = await split(server);
      const write = async (): Promise<void> => {
        for (let attempt = 0; attempt < 50; attempt += 1) {
          const seen = await subject.get();
          const next = weightsOf(seen)[0] as number;
          const reply = await subject.patch([
            { op: 'replace', path: '/metadata/resourceVersion', value: seen.metadata.resourceVersion },
            { op: 'replace', path: weight(0), value: next + 1 },
          ]);
          if (reply.status === 200) return;
          expect(reply.status, reply.text).toBe(409);
        }
        throw new Error('fifty conflicts in a row');
      };
      await Promise.all(Array.from({ length: 8 }, write));
      const after = await subject.get();
      expect(weightsOf(after)[0]).toBe(108);
      expect(after.metadata.generation).toBe(9);
    },
  },
  {
    name: 'the field manager of a patch owns what it changed',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch(step(75, 25), '?fieldManager=sluice');
      expect(owners(reply.json(), 'http')).toEqual(['sluice']);
      expect(reply.json().metadata.managedFields?.find((entry) => entry.manager === 'sluice')).toMatchObject({
        operation: 'Update',
      });
    },
  },
  {
    name: 'an absent object is a 404 in JSON, an absent kind, version or group a 404 in plain text',
    async run(server) {
      const base = `/namespaces/${server.namespace}`;
      const object = await server.http.send('GET', `${ISTIO}${base}/virtualservices/nobody`);
      expect(object.status).toBe(404);
      expect(object.json()).toMatchObject({
        kind: 'Status',
        reason: 'NotFound',
        message: 'virtualservices.networking.istio.io "nobody" not found',
      });
      for (const path of [
        `${ISTIO}${base}/unheardofs/x`,
        `/apis/networking.istio.io/v9${base}/virtualservices/x`,
        `/apis/unheard.of/v1${base}/things/x`,
        '/apis/unheard.of',
      ]) {
        const kind = await server.http.send('GET', path);
        expect(kind.status, path).toBe(404);
        expect(kind.headers['content-type']).toContain('text/plain');
        expect(kind.text).toContain('404 page not found');
      }
    },
  },
  {
    name: 'a patch of an absent object is 404, it creates nothing',
    async run(server) {
      const subject = new Subject(server, ISTIO, 'virtualservices');
      expect((await subject.patch(step(1, 2))).status).toBe(404);
      expect((await subject.merge({ spec: {} })).status).toBe(404);
    },
  },
  {
    name: 'creating twice is 409 AlreadyExists; in a namespace that is not there 404',
    async run(server) {
      const subject = await split(server);
      const again = await server.http.send('POST', subject.collection, virtualService([1, 2], subject.named));
      expect(again.status).toBe(409);
      expect(again.json().reason).toBe('AlreadyExists');
      const nowhere = await server.http.send(
        'POST',
        `${ISTIO}/namespaces/nowhere-at-all/virtualservices`,
        virtualService([1, 2], { namespace: 'nowhere-at-all' }),
      );
      expect(nowhere.status, nowhere.text).toBe(404);
      expect(nowhere.json().message).toContain('namespaces "nowhere-at-all" not found');
    },
  },
  {
    name: 'a name that differs from the path is 400',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch([{ op: 'replace', path: '/metadata/name', value: 'other' }]);
      expect(reply.status, reply.text).toBe(400);
    },
  },
  {
    name: 'a deleted object is gone',
    async run(server) {
      const subject = await split(server);
      const stale = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { resourceVersion: '1' } };
      expect((await server.http.send('DELETE', subject.path, stale)).status).toBe(409);
      const reply = await server.http.send('DELETE', subject.path);
      expect(reply.status).toBe(200);
      expect(reply.json()).toMatchObject({ kind: 'Status', status: 'Success', details: { name: subject.name } });
      expect((await server.http.send('GET', subject.path)).status).toBe(404);
    },
  },
  {
    name: 'a finalizer keeps a deleted object until it is taken off',
    async run(server) {
      const subject = await split(server);
      await subject.merge({ metadata: { finalizers: ['example.com/hold'] } });
      await server.http.send('DELETE', subject.path);
      const held = await subject.get();
      expect(held.metadata).toHaveProperty('deletionTimestamp');
      expect(held.metadata.generation).toBe(2);
      await subject.merge({ metadata: { finalizers: null } });
      expect((await server.http.send('GET', subject.path)).status).toBe(404);
    },
  },
  {
    name: 'status changes through /status only, and moves no generation',
    async run(server) {
      const subject = await split(server);
      const main = await subject.merge({ status: { validationMessages: [] } });
      expect(main.json().status).toBeUndefined();
      const status = await subject.merge({ status: { validationMessages: [] } }, `${subject.path}/status`);
      expect(status.status, status.text).toBe(200);
      expect(status.json().status).toEqual({ validationMessages: [] });
      expect(status.json().metadata.generation).toBe(1);
    },
  },
  {
    name: 'discovery names the versions of a group, the preferred one by Kubernetes’ order',
    async run(server) {
      const preferred = async (group: string): Promise<string> => {
        const reply = await server.http.send('GET', `/apis/${group}`);
        const body = reply.json<{
          kind: string;
          preferredVersion: { version: string };
          versions: { version: string }[];
        }>();
        expect(body.kind).toBe('APIGroup');
        return `${body.preferredVersion.version} of ${body.versions.map((one) => one.version).join(' ')}`;
      };
      expect(await preferred('networking.istio.io')).toBe('v1 of v1 v1beta1 v1alpha3');
      expect(await preferred('split.smi-spec.io')).toBe('v1alpha2 of v1alpha2 v1alpha1');
      expect(await preferred('policy.linkerd.io')).toBe('v1beta3 of v1beta3 v1beta2 v1beta1 v1alpha1');
    },
  },
  {
    name: 'one VirtualService through three versions: the same but for apiVersion',
    async run(server) {
      const subject = await split(server);
      const old = '/apis/networking.istio.io/v1alpha3';
      const patched = await subject.patch(step(60, 40), '', subject.at(old, 'virtualservices'));
      expect(patched.status, patched.text).toBe(200);
      expect(patched.json().apiVersion).toBe('networking.istio.io/v1alpha3');
      const through = await subject.get();
      expect(through.apiVersion).toBe('networking.istio.io/v1');
      expect(through.spec).toEqual(patched.json().spec);
    },
  },
  {
    name: 'TrafficSplit: quantities are kept in v1alpha1 and shown as they are through v1alpha2',
    async run(server) {
      const subject = new Subject(server, `${SMI}/v1alpha1`, 'trafficsplits');
      await subject.create(trafficSplit(['900m', '100m'], 'v1alpha1', subject.named));
      const later = await subject.get(subject.at(`${SMI}/v1alpha2`, 'trafficsplits'));
      expect(later.apiVersion).toBe('split.smi-spec.io/v1alpha2');
      expect(later.spec.backends.map((backend: { weight: unknown }) => backend.weight)).toEqual(['900m', '100m']);
      const mixed = await subject.patch([{ op: 'replace', path: '/spec/backends/0/weight', value: 1 }]);
      expect(mixed.status, mixed.text).toBe(200);
    },
  },
  {
    name: 'TrafficSplit: a write through v1alpha2 that leaves one quantity in place is 422, even of an annotation',
    skip: ({ minor, what }) =>
      what === 'real' && minor >= 30 ? 'newer servers let unchanged invalid fields pass (ratcheting)' : null,
    async run(server) {
      const subject = new Subject(server, `${SMI}/v1alpha1`, 'trafficsplits');
      await subject.create(trafficSplit(['900m', '100m'], 'v1alpha1', subject.named));
      const later = subject.at(`${SMI}/v1alpha2`, 'trafficsplits');
      const annotated = await subject.merge({ metadata: { annotations: { a: 'b' } } }, later);
      expect(annotated.status).toBe(422);
      expect(annotated.json().message).toContain('must be of type number');
      const half = await subject.patch([{ op: 'replace', path: '/spec/backends/0/weight', value: 9 }], '', later);
      expect(half.status).toBe(422);
    },
  },
  {
    name: 'TrafficSplit: both weights as numbers through v1alpha2 are numbers in v1alpha1',
    async run(server) {
      const subject = new Subject(server, `${SMI}/v1alpha1`, 'trafficsplits');
      await subject.create(trafficSplit(['900m', '100m'], 'v1alpha1', subject.named));
      const written = await subject.patch(
        [
          { op: 'replace', path: '/spec/backends/0/weight', value: 9 },
          { op: 'replace', path: '/spec/backends/1/weight', value: 1 },
        ],
        '',
        subject.at(`${SMI}/v1alpha2`, 'trafficsplits'),
      );
      expect(written.status, written.text).toBe(200);
      expect((await subject.get()).spec.backends.map((backend: { weight: unknown }) => backend.weight)).toEqual([9, 1]);
    },
  },
  {
    name: 'HTTPRoute: defaults are filled in, weight 1 among them',
    async run(server) {
      const subject = new Subject(server, `${LINKERD}/v1beta3`, 'httproutes');
      const created = await subject.create(httpRoute('policy.linkerd.io', 'v1beta3', [undefined, 0], subject.named));
      expect(created.spec.rules[0].matches).toEqual([{ path: { type: 'PathPrefix', value: '/' } }]);
      expect(created.spec.rules[0].backendRefs[0]).toEqual({
        group: '',
        kind: 'Service',
        name: 'myapp-v1',
        port: 8080,
        weight: 1,
      });
      expect(created.spec.rules[0].backendRefs[1].weight).toBe(0);
    },
  },
  {
    name: 'HTTPRoute: a weight below 0 or above 1,000,000 is 422',
    async run(server) {
      const subject = new Subject(server, `${LINKERD}/v1beta3`, 'httproutes');
      await subject.create(httpRoute('policy.linkerd.io', 'v1beta3', [75, 25], subject.named));
      for (const value of [-1, 1_000_001]) {
        const reply = await subject.patch([{ op: 'replace', path: '/spec/rules/0/backendRefs/0/weight', value }]);
        expect(reply.status, reply.text).toBe(422);
        expect(reply.json().message).toMatch(/should be (greater|less) than or equal to/);
      }
    },
  },
  {
    name: 'HTTPRoute: v1beta2 hides the timeouts, and any write through it removes them',
    async run(server) {
      const subject = new Subject(server, `${LINKERD}/v1beta3`, 'httproutes');
      await subject.create(httpRoute('policy.linkerd.io', 'v1beta3', [75, 10], subject.named));
      const old = subject.at(`${LINKERD}/v1beta2`, 'httproutes');
      expect((await subject.get(old)).spec.rules[0]).not.toHaveProperty('timeouts');
      expect((await subject.get()).spec.rules[0].timeouts).toEqual({ request: '3s' });
      const reply = await subject.merge({ metadata: { annotations: { a: 'b' } } }, old);
      expect(reply.status, reply.text).toBe(200);
      const after = await subject.get();
      expect(after.spec.rules[0]).not.toHaveProperty('timeouts');
      expect(after.spec.rules[0].backendRefs.map((ref: { weight: number }) => ref.weight)).toEqual([75, 10]);
    },
  },
  {
    name: 'HTTPRoute: an annotation written through v1beta1 resets the weights to 1 and 1',
    async run(server) {
      const subject = new Subject(server, `${LINKERD}/v1beta3`, 'httproutes');
      await subject.create(httpRoute('policy.linkerd.io', 'v1beta3', [75, 10], subject.named));
      const reply = await subject.merge(
        { metadata: { annotations: { a: 'b' } } },
        subject.at(`${LINKERD}/v1beta1`, 'httproutes'),
      );
      expect(reply.status, reply.text).toBe(200);
      const after = await subject.get();
      expect(after.spec.rules[0].backendRefs.map((ref: { weight: number }) => ref.weight)).toEqual([1, 1]);
      expect(after.spec.rules[0]).not.toHaveProperty('timeouts');
    },
  },
  {
    name: 'list: a label selector chooses, the list carries a resourceVersion, pages continue',
    async run(server) {
      const label = `list-${names}`;
      const subjects = [0, 1, 2].map(() => new Subject(server, ISTIO, 'virtualservices'));
      for (const subject of subjects)
        await subject.create(virtualService([100, 0], { ...subject.named, labels: { suite: label } }));
      const { collection } = subjects[0] as Subject;
      interface Listed {
        kind: string;
        metadata: { resourceVersion: string; continue?: string };
        items: Body[];
      }
      const all = (await server.http.send('GET', `${collection}?labelSelector=suite%3D${label}`)).json<Listed>();
      expect(all.kind).toBe('VirtualServiceList');
      expect(all.items).toHaveLength(3);
      expect(all.items[0]).toMatchObject({ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService' });
      expect(Number(all.metadata.resourceVersion)).toBeGreaterThan(0);
      const none = (await server.http.send('GET', `${collection}?labelSelector=suite+in+(a,b)`)).json<Listed>();
      expect(none.items).toEqual([]);
      const first = (await server.http.send('GET', `${collection}?limit=2`)).json<Listed>();
      expect(first.items).toHaveLength(2);
      expect(first.metadata.continue).toBeTruthy();
    },
  },
  {
    name: 'list: items of built-in kinds come without apiVersion and kind',
    async run(server) {
      const listed = (await server.http.send('GET', '/api/v1/namespaces')).json<{ kind: string; items: Body[] }>();
      expect(listed.kind).toBe('NamespaceList');
      const own = listed.items.find((item) => item.metadata.name === server.namespace);
      expect(own).toBeDefined();
      expect(own).not.toHaveProperty('kind');
    },
  },
  {
    name: 'watch: from a resourceVersion on it tells what was added, modified and deleted since',
    async run(server) {
      const before = await split(server);
      const from = before.first.metadata.resourceVersion;
      const subject = await split(server);
      await subject.patch(step(75, 25));
      await server.http.send('DELETE', subject.path);
      const watched = await server.http.watch(
        `${subject.collection}?watch=true&resourceVersion=${from}&fieldSelector=metadata.name%3D${subject.name}`,
        (events) => events.length === 3,
      );
      expect(watched.events.map((event) => event.type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
      const [added, modified, deleted] = watched.events.map((event) => event.object);
      expect(weightsOf(added as Body)).toEqual([100, 0]);
      expect(weightsOf(modified as Body)).toEqual([75, 25]);
      expect(Number(deleted?.metadata.resourceVersion)).toBeGreaterThan(Number(modified?.metadata.resourceVersion));
    },
  },
  {
    name: 'watch: without a resourceVersion it starts with what is there',
    async run(server) {
      const subject = await split(server);
      const watched = await server.http.watch(
        `${subject.collection}?watch=true&fieldSelector=metadata.name%3D${subject.name}`,
        (events) => events.length === 1,
      );
      expect(watched.events[0]).toMatchObject({ type: 'ADDED', object: { metadata: { name: subject.name } } });
    },
  },
  {
    name: 'watch: an object that loses its label is deleted for who watches the label',
    async run(server) {
      const subject = new Subject(server, ISTIO, 'virtualservices');
      const label = `watch-${subject.name}`;
      const created = await subject.create(virtualService([100, 0], { ...subject.named, labels: { suite: label } }));
      await subject.merge({ metadata: { labels: { suite: 'other' } } });
      const watched = await server.http.watch(
        `${subject.collection}?watch=true&labelSelector=suite%3D${label}&resourceVersion=${created.metadata.resourceVersion}`,
        (events) => events.length === 1,
      );
      expect(watched.events[0]).toMatchObject({ type: 'DELETED', object: { metadata: { name: subject.name } } });
    },
  },
  {
    name: 'watch: a quiet stream ends after timeoutSeconds without a word, not even the bookmark that was asked for',
    async run(server) {
      const subject = await split(server);
      // A resourceVersion of nobody's object: the namespace is quiet from here on.
      const watched = await server.http.watch(
        `${subject.collection}?watch=true&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion=${subject.first.metadata.resourceVersion}`,
        () => false,
      );
      expect(watched).toEqual({ status: 200, events: [], ended: 'by server' });
    },
  },
  {
    name: 'watch: from a resourceVersion that the server has forgotten it gets 410 as an event',
    async run(server) {
      const subject = await split(server);
      const watched = await server.http.watch(
        `${subject.collection}?watch=true&resourceVersion=1`,
        (events) => events.length > 0,
      );
      expect(watched.status).toBe(200);
      expect(watched.events).toMatchObject([
        { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } },
      ]);
      expect(watched.events[0]?.object.message).toMatch(/^too old resource version: 1 \(\d+\)$/);
    },
  },
  {
    name: 'list: a resourceVersion from the future is 504',
    async run(server) {
      const subject = await split(server);
      const reply = await server.http.send('GET', `${subject.collection}?resourceVersion=99999999`);
      expect(reply.status, reply.text).toBe(504);
      expect(reply.json().message).toContain('Too large resource version');
    },
  },
  {
    name: 'a null where none is allowed is dropped, and a default takes its place',
    async run(server) {
      const subject = await split(server, [60, 40]);
      const lost = await subject.patch([{ op: 'replace', path: weight(0), value: null }]);
      expect(lost.status, lost.text).toBe(200);
      expect(weightsOf(lost.json())).toEqual([undefined, 40]);
      const nullable = await subject.patch([
        { op: 'add', path: '/spec/http/1/retries', value: { retryRemoteLocalities: null, retryOn: null } },
      ]);
      expect(nullable.json().spec.http[1].retries).toEqual({ retryRemoteLocalities: null });
      const route = new Subject(server, `${LINKERD}/v1beta3`, 'httproutes');
      await route.create(httpRoute('policy.linkerd.io', 'v1beta3', [75, 25], route.named));
      const filled = await route.patch([{ op: 'replace', path: '/spec/rules/0/backendRefs/0/weight', value: null }]);
      expect(filled.json().spec.rules[0].backendRefs[0].weight).toBe(1);
      const required = await route.patch([{ op: 'replace', path: '/spec/rules/0/backendRefs/0/name', value: null }]);
      expect(required.status).toBe(422);
      expect(required.json().message).toContain('Required value');
    },
  },
  {
    name: 'a weight beyond 32 bits passes the schema, which names the format and does not check it',
    async run(server) {
      const subject = await split(server);
      const reply = await subject.patch([{ op: 'replace', path: weight(0), value: 10_000_000_000 }]);
      expect(reply.status, reply.text).toBe(200);
    },
  },
  {
    name: 'JSON patch: the corners of the server’s own library',
    async run(server) {
      const subject = await split(server);
      const status = async (op: unknown): Promise<number> => (await subject.patch([op], '?dryRun=All')).status;
      expect(await status({ op: 'test', path: '/spec/absent', value: null })).toBe(200);
      expect(await status({ op: 'test', path: '/spec/absent/deeper', value: null })).toBe(422);
      expect(await status({ op: 'frob', path: '/spec' })).toBe(422);
      expect(await status({ op: 'add', path: '/spec/hosts/-', value: 'more' })).toBe(200);
      expect(await status({ op: 'add', path: '/spec/hosts/9', value: 'more' })).toBe(422);
      expect(await status({ op: 'remove', path: '/metadata/resourceVersion' })).toBe(422);
      expect(await status({ op: 'replace', path: '/metadata/resourceVersion', value: 'junk' })).toBe(500);
      expect(await status({ op: 'replace', path: '/metadata/uid', value: 'junk' })).toBe(422);
      expect((await server.http.send('PATCH', subject.path, '[{"op":', JSON_PATCH)).status).toBe(400);
    },
  },
  {
    name: 'a wrong dryRun is 422, a wrong apiVersion 400, a missing name 422',
    async run(server) {
      const subject = await split(server);
      expect((await subject.patch([], '?dryRun=yes')).status).toBe(422);
      const other = await server.http.send('PUT', subject.path, { ...subject.first, apiVersion: 'v1' });
      expect(other.status).toBe(400);
      expect(other.json().message).toContain('does not match the expected API version');
      const nameless = await server.http.send('POST', subject.collection, { ...virtualService(), metadata: {} });
      expect(nameless.status).toBe(422);
      expect(nameless.json().message).toContain('name or generateName is required');
    },
  },
  {
    name: 'an unknown subresource is a 404 in JSON, as if the object were absent',
    async run(server) {
      const subject = await split(server);
      const reply = await server.http.send('GET', `${subject.path}/scale`);
      expect(reply.status).toBe(404);
      expect(reply.json().reason).toBe('NotFound');
    },
  },
  {
    name: 'watch: the server ends it after timeoutSeconds, with a bookmark before the end where something happened',
    async run(server) {
      const subject = await split(server);
      const watching = server.http.watch(
        `${subject.collection}?watch=true&allowWatchBookmarks=true&timeoutSeconds=4&resourceVersion=${subject.first.metadata.resourceVersion}`,
        () => false,
      );
      const changed = (await subject.patch(step(75, 25))).json();
      const watched = await watching;
      expect(watched.ended).toBe('by server');
      expect(watched.events.at(-1)?.type).toBe('BOOKMARK');
      expect(Number(watched.events.at(-1)?.object.metadata.resourceVersion)).toBeGreaterThanOrEqual(
        Number(changed.metadata.resourceVersion),
      );
    },
  },
  {
    name: 'selfsubjectaccessreviews tells what one may do',
    async run(server) {
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: {
          resourceAttributes: {
            group: 'networking.istio.io',
            resource: 'virtualservices',
            verb: 'patch',
            namespace: server.namespace,
          },
        },
      };
      const reply = await server.http.send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', body);
      expect(reply.status, reply.text).toBe(201);
      expect(reply.json().status.allowed).toBe(true);
    },
  },
  {
    name: 'webhook: two destinations with a total weight of 0, and a negative weight, are 400',
    skip: onlyInProcess('no istiod with its webhook there'),
    async run(server) {
      const subject = await split(server);
      for (const [ops, words] of [
        [step(0, 0), 'total destination weight = 0'],
        [step(101, -1), 'weight -1 < 0'],
      ] as const) {
        const reply = await subject.patch(ops);
        expect(reply.status).toBe(400);
        expect(reply.json().message).toBe(
          `admission webhook "rev.validation.istio.io" denied the request: configuration is invalid: ${words}`,
        );
      }
    },
  },
  {
    name: 'webhook: dryRun=All asks it too',
    skip: onlyInProcess('no istiod with its webhook there'),
    async run(server) {
      const subject = await split(server);
      expect((await subject.patch(step(0, 0), '?dryRun=All')).status).toBe(400);
    },
  },
];
