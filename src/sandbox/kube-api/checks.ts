/** What can be wrong with an object that somebody wants to store, and in which words it is refused. */
import { type JsonObject, objectAt, textAt, without } from './json.ts';
import type { Kind } from './kinds.ts';
import { badRequest, deniedByWebhook, invalid, modified, needsRevision, undecodable, unparsable } from './refusal.ts';
import { type Complaint, validate } from './schema.ts';
import type { Entry } from './storage.ts';
import type { Manners, Place } from './writes.ts';

/** In bytes, keys and values of all annotations of one object. */
export const ANNOTATIONS_LIMIT = 262_144;

export const bodyOf = (object: JsonObject): JsonObject => without(object, 'apiVersion', 'kind', 'metadata');

/** A patched object that cannot be decoded is 422, one that was sent whole 400. */
const cannotDecode = (object: JsonObject, manners: Manners, reason: string): Error =>
  manners.patching ? undecodable(object, reason) : badRequest(reason);

/** Warnings about fields that were dropped; a refusal where the caller is strict. */
export function unknownFields(object: JsonObject, dropped: readonly string[], manners: Manners): readonly string[] {
  const words = dropped.map((field) => `unknown field "${field}"`);
  if (words.length > 0 && manners.unknown === 'Strict')
    throw cannotDecode(object, manners, `strict decoding error: ${words.join(', ')}`);
  return manners.unknown === 'Warn' ? words : [];
}

/** Labels and annotations are text. */
export function checkTexts(object: JsonObject, manners: Manners): void {
  for (const field of ['labels', 'annotations']) {
    const wrong = Object.values(objectAt(objectAt(object, 'metadata'), field)).find(
      (value) => typeof value !== 'string',
    );
    if (wrong === undefined) continue;
    const reason = `json: cannot unmarshal ${typeof wrong} into Go struct field ObjectMeta.metadata.${field} of type string`;
    throw cannotDecode(object, manners, reason);
  }
}

export function checkIdentity(place: Place, before: Entry | null, object: JsonObject, manners: Manners): void {
  const metadata = objectAt(object, 'metadata');
  const name = textAt(metadata, 'name');
  if (before === null || manners.seed) return;
  if (name !== before.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${before.name})`);
  const uid = textAt(metadata, 'uid');
  if (uid === undefined || uid === textAt(objectAt(before.object, 'metadata'), 'uid')) return;
  const message = `Invalid value: ${JSON.stringify(uid)}: field is immutable`;
  throw invalid(place.kind, place.name, [{ field: 'metadata.uid', reason: 'FieldValueInvalid', message }]);
}

/** The precondition: an object that carries a resourceVersion is written only where it is still the present one. */
export function checkRevision(place: Place, before: Entry | null, object: JsonObject, manners: Manners): void {
  if (before === null || manners.seed) return;
  const wanted = textAt(objectAt(object, 'metadata'), 'resourceVersion');
  if (wanted === undefined || wanted === '') {
    if (place.kind.builtIn) return;
    throw needsRevision(place.kind, place.name);
  }
  if (!/^\d+$/.test(wanted)) throw unparsable(wanted);
  if (wanted !== String(before.revision)) throw modified(place.kind, place.name);
}

export function checkSchema(place: Place, object: JsonObject): void {
  const { schema } = place.version;
  const complaints = [...annotationsTooLong(object), ...(schema === null ? [] : validate(bodyOf(object), schema))];
  if (complaints.length > 0) throw invalid(place.kind, place.name, complaints);
}

const sized = new WeakMap<JsonObject, number>();

function annotationBytes(annotations: JsonObject): number {
  let bytes = sized.get(annotations);
  if (bytes === undefined) {
    bytes = Object.entries(annotations).reduce(
      (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(String(value)),
      0,
    );
    sized.set(annotations, bytes);
  }
  return bytes;
}

function annotationsTooLong(object: JsonObject): Complaint[] {
  if (annotationBytes(objectAt(objectAt(object, 'metadata'), 'annotations')) <= ANNOTATIONS_LIMIT) return [];
  const message = `Too long: must have at most ${ANNOTATIONS_LIMIT} bytes`;
  return [{ field: 'metadata.annotations', reason: 'FieldValueTooLong', message }];
}

/** Warnings of the admission webhook. Throws a Refusal (400) where it objects. */
export function admit({ webhook }: Kind, object: JsonObject): readonly string[] {
  if (webhook === null) return [];
  const objection = webhook.reject(object);
  if (objection !== null) throw deniedByWebhook(webhook.name, objection);
  return webhook.warn?.(object) ?? [];
}
