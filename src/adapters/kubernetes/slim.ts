/** What a shelf keeps of an object: thousands of Deployments are watched for a few numbers each. */
import type { KubeObject } from './kube.ts';

/**
 * A Deployment without its pod template, annotations and field managers: nobody who reads one asks for them, and they are
 * nine tenths of it. Everything else is kept as it came.
 */
export function slim(object: KubeObject): KubeObject {
  if (object.kind !== 'Deployment' || !object.apiVersion.startsWith('apps/')) return object;
  const { managedFields: _fields, annotations: _notes, ...metadata } = object.metadata;
  const { template: _template, ...spec } = (object.spec ?? {}) as Record<string, unknown>;
  return { ...object, metadata, spec };
}
