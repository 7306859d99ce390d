/** What a request carries: its body, its manners, its selectors. */
import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { type Address, numberFrom } from './address.ts';
import { isObject, type Json, type JsonObject, objectAt, textAt } from './json.ts';
import { badRequest, failure, invalid, invalidOptions, Refusal } from './refusal.ts';
import { apiVersionOf } from './storage.ts';
import type { Manners, Place } from './writes.ts';

/** Formats of a patch: JSON patch, merge patch, server-side apply. */
export const PATCH_TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/apply-patch+yaml',
];
const MAX_BODY = 3 * 1024 * 1024;

export async function bodyOf(request: IncomingMessage): Promise<string> {
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

export const contentType = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim() ?? '';

export function parseBody(request: IncomingMessage, text: string): Json {
  if (text === '') return {};
  try {
    return (contentType(request).endsWith('yaml') ? parseYaml(text) : JSON.parse(text)) as Json;
  } catch (error) {
    throw badRequest(`the object provided is unrecognized: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function typed(place: Place, body: Json): JsonObject {
  if (!isObject(body)) throw badRequest('the object provided is no object');
  const apiVersion = apiVersionOf(place.kind, place.version.name);
  if (body['apiVersion'] !== apiVersion)
    throw badRequest(
      `the API version in the data (${String(body['apiVersion'])}) does not match the expected API version (${apiVersion})`,
    );
  if (body['kind'] !== place.kind.kind)
    throw badRequest(
      `the kind in the data (${String(body['kind'])}) does not match the expected kind (${place.kind.kind})`,
    );
  return body;
}

export function nameFor({ kind }: Place, object: JsonObject): string {
  const metadata = objectAt(object, 'metadata');
  const prefix = textAt(metadata, 'generateName');
  const name =
    textAt(metadata, 'name') ??
    (prefix === undefined ? undefined : `${prefix}${Math.random().toString(36).slice(2, 7)}`);
  const message = 'Required value: name or generateName is required';
  if (name === undefined) throw invalid(kind, '', [{ field: 'metadata.name', reason: 'FieldValueRequired', message }]);
  return name;
}

export function mannersOf({ query }: Address, request: IncomingMessage): Manners {
  const unknown = query.get('fieldValidation');
  const dryRun = query.get('dryRun');
  if (dryRun !== null && dryRun !== 'All')
    throw invalidOptions(`dryRun: Unsupported value: []string{"${dryRun}"}: supported values: "All"`);
  const agent = (request.headers['user-agent'] ?? 'unknown').split('/')[0] ?? 'unknown';
  return {
    manager: query.get('fieldManager') ?? agent,
    dryRun: dryRun === 'All',
    force: query.get('force') === 'true',
    unknown: unknown === 'Strict' || unknown === 'Ignore' ? unknown : 'Warn',
    seed: false,
    patching: contentType(request) === PATCH_TYPES[0] || contentType(request) === PATCH_TYPES[1],
  };
}

export function nameSelector(query: URLSearchParams): string | null {
  const selector = query.get('fieldSelector');
  if (selector === null) return null;
  const found = /^metadata\.name==?([\w.-]+)$/.exec(selector);
  if (found === null) throw badRequest(`field label not supported: ${selector}`);
  return found[1] as string;
}

export function pageOf<T>(
  all: readonly T[],
  query: URLSearchParams,
): { page: readonly T[]; next: string | null; left: number } {
  const start = numberFrom(query, 'continue') ?? 0;
  const limit = numberFrom(query, 'limit') ?? 0;
  const page = limit > 0 ? all.slice(start, start + limit) : all.slice(start);
  const end = start + page.length;
  return { page, next: end < all.length ? String(end) : null, left: all.length - end };
}
