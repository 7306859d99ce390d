/** Refusals in the API server's own words: a `Status` object, or plain text where no handler is registered. */
import type { JsonObject } from './json.ts';
import { type Kind, kindName, resourceName } from './kinds.ts';
import type { Complaint } from './schema.ts';

export class Refusal extends Error {
  readonly status: number;
  readonly body: JsonObject | string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: JsonObject | string, headers: Record<string, string> = {}) {
    super(typeof body === 'string' ? body : String(body['message']));
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

export const failure = (code: number, reason: string, message: string, details?: JsonObject): JsonObject => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  ...(details === undefined ? {} : { details }),
  code,
});

const refuse = (code: number, reason: string, message: string, details?: JsonObject): Refusal =>
  new Refusal(code, failure(code, reason, message, details));

const named = (kind: Kind, name: string): JsonObject => ({
  name,
  ...(kind.group === '' ? {} : { group: kind.group }),
  kind: kind.plural,
});

/** No such path: the CRD, the group or the version is absent. Plain text, unlike an absent object. */
export const notServed = (): Refusal => new Refusal(404, '404 page not found\n');

export const notFound = (kind: Kind, name: string): Refusal =>
  refuse(404, 'NotFound', `${resourceName(kind)} "${name}" not found`, named(kind, name));

export const alreadyExists = (kind: Kind, name: string): Refusal =>
  refuse(409, 'AlreadyExists', `${resourceName(kind)} "${name}" already exists`, named(kind, name));

export const modified = (kind: Kind, name: string): Refusal =>
  refuse(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${resourceName(kind)} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
    named(kind, name),
  );

export const badRequest = (message: string): Refusal => refuse(400, 'BadRequest', message);

export const deniedByWebhook = (webhook: string, objection: string): Refusal =>
  badRequest(`admission webhook "${webhook}" denied the request: configuration is invalid: ${objection}`);

/** A JSON patch that does not fit the object. The server keeps the cause to itself. */
export const patchRefused = (): Refusal =>
  refuse(422, 'Invalid', 'the server rejected our request due to an error in our request', {});

export function invalid(kind: Kind, name: string, complaints: readonly Complaint[]): Refusal {
  const words = complaints.map(({ field, message }) => `${field}: ${message}`);
  const all = words.length === 1 ? words[0] : `[${words.join(', ')}]`;
  const causes = complaints.map(({ field, reason, message }) => ({ reason, message, field }));
  return refuse(422, 'Invalid', `${kindName(kind)} "${name}" is invalid: ${all}`, {
    name,
    group: kind.group,
    kind: kind.kind,
    causes,
  });
}

/** A patched object that cannot be decoded: the message carries the whole object, its reason comes last. */
export const undecodable = (object: JsonObject, reason: string): Refusal => {
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(object))}: ${reason}`;
  return refuse(422, 'Invalid', ` "" is invalid: patch: ${message}`, {
    causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }],
  });
};

export const invalidOptions = (message: string): Refusal =>
  refuse(422, 'Invalid', `PatchOptions.meta.k8s.io "" is invalid: ${message}`, {
    group: 'meta.k8s.io',
    kind: 'PatchOptions',
  });

export const invalidScale = (name: string, replicas: number): Refusal => {
  const message = `Invalid value: ${replicas}: must be greater than or equal to 0`;
  return refuse(422, 'Invalid', `Scale.autoscaling "${name}" is invalid: spec.replicas: ${message}`, {
    name,
    group: 'autoscaling',
    kind: 'Scale',
    causes: [{ reason: 'FieldValueInvalid', message, field: 'spec.replicas' }],
  });
};

export const needsRevision = (kind: Kind, name: string): Refusal => {
  const message = 'Invalid value: 0x0: must be specified for an update';
  return refuse(422, 'Invalid', `${resourceName(kind)} "${name}" is invalid: metadata.resourceVersion: ${message}`, {
    ...named(kind, name),
    causes: [{ reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' }],
  });
};

/** A resourceVersion that is no number: the server's own failure. */
export const unparsable = (revision: string): Refusal =>
  refuse(500, '', `strconv.ParseUint: parsing ${JSON.stringify(revision)}: invalid syntax`);

export const fromTheFuture = (wanted: number, present: number): Refusal =>
  refuse(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${present}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });

export const deleted = (kind: Kind, name: string, uid: string): JsonObject => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  details: { ...named(kind, name), uid },
});

export const unsupportedPatch = (accepted: readonly string[]): Refusal =>
  refuse(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );

export const managerRequired = (): Refusal =>
  invalidOptions('fieldManager: Required value: is required for apply patch');

export const methodNotAllowed = (): Refusal =>
  refuse(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});

export const unauthorized = (): Refusal => refuse(401, 'Unauthorized', 'Unauthorized');

export const forbidden = (
  user: string,
  verb: string,
  group: string,
  resource: string,
  namespace: string,
  name: string,
): Refusal => {
  const object = `${resource}${group === '' ? '' : `.${group}`}${name === '' ? '' : ` "${name}"`}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  return refuse(
    403,
    'Forbidden',
    `${object} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`,
    { name, group, kind: resource },
  );
};

export const expired = (wanted: number, oldest: number): JsonObject =>
  failure(410, 'Expired', `too old resource version: ${wanted} (${oldest})`);

export const applyConflicts = (
  conflicts: readonly { readonly manager: string; readonly apiVersion: string; readonly field: string }[],
): Refusal => {
  const words = conflicts.map((c) => `conflict with "${c.manager}" using ${c.apiVersion}: ${c.field}`);
  const count = conflicts.length === 1 ? '1 conflict' : `${conflicts.length} conflicts`;
  return refuse(409, 'Conflict', `Apply failed with ${count}: ${words.join('\n')}`, {
    causes: conflicts.map((c, i) => ({ reason: 'FieldManagerConflict', message: words[i] ?? '', field: c.field })),
  });
};
