/**
 * Custom queries: PromQL with `{{...}}` placeholders.
 *
 * A placeholder stands inside a PromQL string ("..." or '...') and becomes the value, escaped (`text.ts`); only `{{window}}` may stand
 * outside. Next to `=` the label must equal the value. Next to `=~` the value is read as a regular expression, in which a
 * dot matches any character: `{{re:canary.deployment}}` matches the value as it is.
 */
import type { Role, Target, VersionRef } from '../../domain/plan.ts';
import { escaped, literally, promDuration } from './text.ts';

const PLACEHOLDER = /\{\{\s*(re:)?\s*([^{}]*?)\s*\}\}/g;

export interface Rendering {
  readonly target: Target;
  /** The version that is measured: `{{version.*}}`. */
  readonly role: Role;
  /** Look-back in ms: `{{window}}`. */
  readonly window: number;
}

/** null: the query can be rendered for both versions of the target; otherwise what is wrong with it. */
export function checkQuery(query: string, target: Target): string | null {
  for (const found of query.matchAll(PLACEHOLDER)) {
    const [written, , name = ''] = found;
    const missing = (['canary', 'stable'] as const).some((role) => lookUp(name, { target, role, window: 1 }) === null);
    if (missing) return `the query has the unknown placeholder ${written}; known: ${known(target).join(', ')}`;
    if (name !== 'window' && !insideString(query, found.index))
      return `the placeholder ${written} stands outside a string in double or single quotes; write it as a label's value: "${written}"`;
  }
  if (query.replace(PLACEHOLDER, '').includes('{{'))
    return 'the query has "{{" without a matching "}}" or with braces inside; placeholders look like {{canary.deployment}}';
  return null;
}

/** Does the answer depend on which version is measured? A relative limit needs such a query. */
export const followsVersion = (query: string): boolean =>
  [...query.matchAll(PLACEHOLDER)].some(([, , name = '']) => name.startsWith('version.'));

/** The query for one version. Throws for a query that `checkQuery` refuses. */
export function renderQuery(query: string, rendering: Rendering): string {
  const wrong = checkQuery(query, rendering.target);
  if (wrong !== null) throw new Error(wrong);
  return query.replace(PLACEHOLDER, (_written, re: string | undefined, name: string) => {
    const value = lookUp(name, rendering) as string;
    return escaped(re === undefined ? value : literally(value));
  });
}

function lookUp(name: string, { target, role, window }: Rendering): string | null {
  const [head, ...path] = name.split('.');
  switch (head) {
    case 'window':
      return path.length === 0 ? promDuration(window) : null;
    case 'namespace':
    case 'service':
      return path.length === 0 ? target[head] : null;
    case 'canary':
    case 'stable':
      return path.length === 1 ? leaf(target[head], path) : null;
    case 'version':
      return path.length === 1 ? leaf(target[role], path) : null;
    case 'target':
      return path.length > 0 ? leaf(target, path) : null;
    default:
      return null;
  }
}

/** Own properties only: `constructor` is not a field. */
function leaf(from: unknown, path: readonly string[]): string | null {
  let at = from;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return null;
    at = (at as Record<string, unknown>)[step];
  }
  return typeof at === 'string' || typeof at === 'number' ? String(at) : null;
}

function known(target: Target): readonly string[] {
  const fields = (version: VersionRef) => Object.keys(version).filter((field) => version[field] !== undefined);
  const shared = fields(target.canary).filter((field) => target.stable[field] !== undefined);
  const rest = paths(target).filter((path) => !/^(namespace|service|stable\.|canary\.)/.test(path));
  return [
    'namespace',
    'service',
    'window',
    ...fields(target.canary).map((field) => `canary.${field}`),
    ...fields(target.stable).map((field) => `stable.${field}`),
    ...shared.map((field) => `version.${field}`),
    ...rest.map((path) => `target.${path}`),
  ].map((name) => `{{${name}}}`);
}

function paths(value: unknown, prefix = ''): readonly string[] {
  if (typeof value === 'string' || typeof value === 'number') return [prefix];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => paths(inner, prefix === '' ? key : `${prefix}.${key}`));
}

/**
 * Is the character at `index` inside a string in which escapes work? Knows the three kinds of quotes (backticks have no
 * escapes) and comments.
 */
function insideString(query: string, index: number): boolean {
  let quote = '';
  for (let i = 0; i < index; i += 1) {
    const char = query[i] as string;
    if (quote !== '') {
      if (char === '\\' && quote !== '`' && quote !== '#') i += 1;
      else if (char === (quote === '#' ? '\n' : quote)) quote = '';
    } else if (char === '"' || char === "'" || char === '`' || char === '#') quote = char;
  }
  return quote === '"' || quote === "'";
}
