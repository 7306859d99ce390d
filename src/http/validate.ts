/** Runs a route's schemas over a request. Every fault names its place. */
import type { z } from 'zod';
import type { Fault, Refused } from './problem.ts';
import { refuse } from './problem.ts';

type Place = 'pointer' | 'parameter' | 'header';
type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly faults: readonly Fault[] };

const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

function check(schema: z.ZodType | null, value: unknown, place: Place): Checked<unknown> {
  if (schema === null) return { ok: true, value };
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, faults: parsed.error.issues.flatMap((issue) => faultsOf(issue, place)) };
}

const locationOf = (place: Place, path: readonly PropertyKey[]): Pick<Fault, Place> => ({
  [place]: place === 'pointer' ? pointerOf(path) : String(path[0] ?? ''),
});

function faultsOf(issue: z.core.$ZodIssue, place: Place): Fault[] {
  const what = place === 'pointer' ? 'field' : 'parameter';
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      ...locationOf(place, [...issue.path, key]),
      code: `unknown_${what}`,
      detail: `unknown ${what} ${JSON.stringify(key.slice(0, 100))}: remove it or correct its spelling`,
    }));
  if (issue.code === 'invalid_type' && place === 'pointer') {
    const found =
      issue.input === undefined
        ? 'nothing'
        : Array.isArray(issue.input)
          ? 'a list'
          : issue.input === null
            ? 'null'
            : `${typeof issue.input}`;
    return [
      {
        ...locationOf(place, issue.path),
        code: issue.input === undefined ? 'required' : 'invalid_type',
        detail: `wanted ${issue.expected}; found ${found}`,
      },
    ];
  }
  return [{ ...locationOf(place, issue.path), code: 'invalid_value', detail: issue.message }];
}

interface Schemas {
  readonly params: z.ZodType | null;
  readonly query: z.ZodType | null;
  readonly headers: z.ZodType | null;
}
interface Parts {
  readonly params: unknown;
  readonly query: unknown;
  readonly headers: unknown;
}

/** Path, query and headers together, so that all faults are told at once. A call without a query schema takes no parameter. */
export function validated(schemas: Schemas, parts: Parts): Parts | Refused<'invalid_parameter'> {
  const params = check(schemas.params, parts.params, 'parameter');
  const query = schemas.query === null ? noParameters(parts.query) : check(schemas.query, parts.query, 'parameter');
  const headers = check(schemas.headers, parts.headers, 'header');
  if (params.ok && query.ok && headers.ok) return { params: params.value, query: query.value, headers: headers.value };
  const faults = [params, query, headers].flatMap((checked) => (checked.ok ? [] : checked.faults));
  return refuse('invalid_parameter', told(faults), { errors: faults });
}

function noParameters(query: unknown): Checked<unknown> {
  const keys = Object.keys(query as object);
  if (keys.length === 0) return { ok: true, value: {} };
  return {
    ok: false,
    faults: keys.map((key) => ({
      parameter: key,
      code: 'unknown_parameter',
      detail: `unknown parameter ${JSON.stringify(key.slice(0, 100))}: this call takes none`,
    })),
  };
}

export function validatedBody(
  schema: z.ZodType,
  value: unknown,
): { readonly value: unknown } | { readonly faults: readonly Fault[] } {
  const checked = check(schema, value, 'pointer');
  return checked.ok ? { value: checked.value } : { faults: checked.faults };
}

/** "limit: wanted ...; status: wanted ..." */
export function told(faults: readonly Fault[]): string {
  const shown = faults.slice(0, 3).map((f) => {
    const where = f.pointer ?? f.parameter ?? f.header ?? '';
    return where === '' ? f.detail : `${where}: ${f.detail}`;
  });
  return `${shown.join('; ')}${faults.length > 3 ? `; and ${faults.length - 3} more` : ''}`;
}
