/** `/scale` of Deployments and ReplicaSets: how many replicas are wanted and there are, as one autoscaling/v1 Scale. */
import { isObject, type Json, type JsonObject, numberAt, objectAt, textAt } from './json.ts';
import { jsonPatch, mergePatch, PatchFailed, PatchMalformed } from './patch.ts';
import { badRequest, invalidScale, modified, patchRefused, unsupportedPatch } from './refusal.ts';
import { PATCH_TYPES } from './requests.ts';
import type { Entry } from './storage.ts';
import type { Manners, Outcome, Place, Writes } from './writes.ts';

export function scaleOf({ object, namespace, name }: Entry): JsonObject {
  const metadata = objectAt(object, 'metadata');
  const spec = objectAt(object, 'spec');
  const labels = objectAt(objectAt(spec, 'selector'), 'matchLabels');
  const selector = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name,
      namespace,
      uid: metadata['uid'] ?? '',
      resourceVersion: metadata['resourceVersion'] ?? '',
      creationTimestamp: metadata['creationTimestamp'] ?? null,
    },
    // A Deployment that says nothing has one replica.
    spec: { replicas: numberAt(spec, 'replicas') ?? 1 },
    status: { replicas: numberAt(objectAt(object, 'status'), 'replicas') ?? 0, selector: selector.sort().join(',') },
  };
}

/** `type`: content type of a patch; null: `body` is the whole Scale (PUT). Only spec.replicas is taken from it. */
export function writeScale(
  writes: Writes,
  place: Place,
  before: Entry,
  type: string | null,
  body: Json,
  manners: Manners,
): Outcome {
  const wanted = type === null ? body : patched(scaleOf(before), type, body);
  if (!isObject(wanted)) throw badRequest('the object provided is no object');
  const revision = textAt(objectAt(wanted, 'metadata'), 'resourceVersion');
  if (revision !== undefined && revision !== '' && revision !== String(before.revision))
    throw modified(place.kind, place.name);
  const replicas = numberAt(objectAt(wanted, 'spec'), 'replicas') ?? 0;
  if (!Number.isInteger(replicas)) throw badRequest(`Scale.spec.replicas: cannot unmarshal number ${replicas}`);
  if (replicas < 0) throw invalidScale(place.name, replicas);
  return writes.mergePatch(place, { spec: { replicas } }, manners);
}

function patched(scale: JsonObject, type: string, body: Json): Json {
  if (type === PATCH_TYPES[1]) return mergePatch(scale, body);
  if (type !== PATCH_TYPES[0]) throw unsupportedPatch(PATCH_TYPES.slice(0, 2));
  try {
    return jsonPatch(scale, body);
  } catch (error) {
    if (error instanceof PatchFailed) throw patchRefused();
    if (error instanceof PatchMalformed) throw badRequest(error.message);
    throw error;
  }
}
