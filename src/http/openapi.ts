/** The OpenAPI 3.1 document, from the same literals that validate and answer. */
import { z } from 'zod';
import { rolesThatMay } from './auth.ts';
import { MEDIA_TYPES } from './body.ts';
import { parameterSchemas } from './params.ts';
import type { ProblemCode } from './problem.ts';
import { PROBLEMS } from './problem.ts';
import type { ResponseSpec, Route } from './route.ts';
import { components, problemSchema } from './schemas.ts';
import { tagOf } from './tags.ts';

type Json = Record<string, unknown>;

export interface Described {
  readonly version: string;
  readonly publicUrl?: string | undefined;
  /** JSON Schema of a plan, draft 2020-12. */
  readonly planSchema: Readonly<Json>;
  /** Name of the cookie that the page's sessions have; null: there is no page. */
  readonly cookie: string | null;
}

export function openApi(routes: readonly Route[], { version, publicUrl, planSchema, cookie }: Described): Json {
  const shared = new Map<string, Json>();
  const ref = sharing(shared);
  shareForeign(shared, 'Plan', planSchema);
  for (const { body } of routes)
    if (body?.component !== undefined && body.shown !== undefined)
      shareForeign(shared, body.component, z.toJSONSchema(body.shown, { io: 'input', unrepresentable: 'any' }) as Json);
  const paths: Record<string, Json> = {};
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: operation(route, ref) };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice',
      version,
      summary: 'Progressive delivery for Istio and Linkerd',
      description:
        'Errors are application/problem+json (RFC 9457); their codes are stable. Every call but the open ones wants "Authorization: Bearer", with an API token (slc_...) or, where the server has a trust policy, the id token of a pipeline.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: publicUrl ?? '/' }],
    security: [{ token: [] }, { idToken: [] }, ...(cookie === null ? [] : [{ session: [] }])],
    tags: [...new Set(routes.map(({ path }) => tagOf(path)))],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API token: slc_...; or the session of somebody who has signed in by sluice login --oidc.',
        },
        idToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description:
            'The OpenID Connect id token of a pipeline (GitHub Actions, GitLab CI) for which the trust policy of the server has a rule.',
        },
        ...(cookie === null ? {} : { session: sessionScheme(cookie) }),
      },
      schemas: Object.fromEntries([...shared].sort(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}

const sessionScheme = (name: string): Json => ({
  type: 'apiKey',
  in: 'cookie',
  name,
  description:
    'The session of somebody who has signed in on the page, for the page itself: what is no GET also wants Sec-Fetch-Site: same-origin (or Origin) and the header X-Sluice-CSRF: 1.',
});

type Ref = (schema: z.ZodType) => Json;

/** Schemas with a name go to the components, and are referred to. */
function sharing(shared: Map<string, Json>): Ref {
  return (schema) => {
    const { $schema, $defs, ...json } = z.toJSONSchema(schema, {
      io: 'input',
      metadata: components,
      unrepresentable: 'any',
    }) as Json & { $defs?: Record<string, Json> };
    for (const [name, definition] of Object.entries($defs ?? {}))
      shared.set(name, moved(definition, '#/$defs/', '#/components/schemas/') as Json);
    const own = components.get(schema)?.id;
    if (own === undefined || '$ref' in json) return moved(json, '#/$defs/', '#/components/schemas/') as Json;
    shared.set(own, moved(json, '#/$defs/', '#/components/schemas/') as Json);
    return { $ref: `#/components/schemas/${own}` };
  };
}

/** A schema from elsewhere: its own definitions move along, under names that cannot clash. */
function shareForeign(shared: Map<string, Json>, name: string, { $schema, $defs, ...schema }: Readonly<Json>): void {
  const relocated = (json: unknown): Json =>
    moved(moved(json, '#/$defs/', `#/components/schemas/${name}.`), '#', `#/components/schemas/${name}`, true) as Json;
  shared.set(name, relocated(schema));
  for (const [key, definition] of Object.entries(($defs ?? {}) as Json))
    shared.set(`${name}.${key}`, relocated(definition));
}

function moved(json: unknown, from: string, to: string, exact = false): unknown {
  if (Array.isArray(json)) return json.map((item) => moved(item, from, to, exact));
  if (typeof json !== 'object' || json === null) return json;
  const entries = Object.entries(json).map(([key, value]): [string, unknown] => {
    if (key !== '$ref' || typeof value !== 'string') return [key, moved(value, from, to, exact)];
    if (exact) return [key, value === from ? to : value];
    return [key, value.startsWith(from) ? `${to}${value.slice(from.length)}` : value];
  });
  return Object.fromEntries(entries);
}

function operation(route: Route, ref: Ref): Json {
  const needs = route.can === null ? 'Open: no token is needed.' : `Roles: ${rolesThatMay(route.can).join(', ')}.`;
  const parameters = [
    ...parametersOf(route.params, 'path'),
    ...parametersOf(route.query, 'query'),
    ...parametersOf(route.headers, 'header'),
  ];
  return {
    operationId: route.operationId,
    tags: [tagOf(route.path).name],
    summary: route.summary,
    description: [route.description, needs].filter((text) => text !== '').join('\n\n'),
    ...(route.can === null ? { security: [] } : {}),
    ...(route.audit === null ? {} : { 'x-audit-action': route.audit }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === null ? {} : { requestBody: requestBody(route.body, ref) }),
    responses: { ...answers(route, ref), ...refusals(route.problems, ref) },
  };
}

function parametersOf(schema: z.ZodType | null, place: 'path' | 'query' | 'header'): Json[] {
  if (schema === null) return [];
  if (!(schema instanceof z.ZodObject)) throw new Error(`the ${place} parameters must be one object schema`);
  // OpenAPI ignores a parameter named Accept: the content types of the answers say it.
  const fields = Object.entries(schema.shape as Record<string, z.ZodType>).filter(([name]) => name !== 'accept');
  return fields.map(([name, field]) => {
    const known = parameterSchemas.get(field);
    if (known === undefined)
      throw new Error(`the ${place} parameter ${name} is not described: use the makers in params.ts`);
    return {
      name: place === 'header' ? canonicalHeader(name) : name,
      in: place,
      required: place === 'path',
      description: known.description,
      schema: known.json,
    };
  });
}

const canonicalHeader = (name: string): string =>
  name
    .split('-')
    .map((part) => (part === 'id' ? 'ID' : part.charAt(0).toUpperCase() + part.slice(1)))
    .join('-');

function requestBody({ schema, required, component, orElse, example }: NonNullable<Route['body']>, ref: Ref): Json {
  const usual = component === undefined ? ref(schema) : { $ref: `#/components/schemas/${component}` };
  const content = {
    schema: orElse === undefined ? usual : { anyOf: [usual, ref(orElse)] },
    ...(example === undefined ? {} : { example }),
  };
  return { required, content: Object.fromEntries(MEDIA_TYPES.map((type) => [type, content])) };
}

const answers = (route: Route, ref: Ref): Json =>
  Object.fromEntries(Object.entries(route.responses).map(([status, spec]) => [status, answer(spec, ref)]));

function answer({ description, body, type, stream, headers }: ResponseSpec, ref: Ref): Json {
  const content = {
    ...(body === undefined ? {} : { [type ?? 'application/json']: { schema: ref(body) } }),
    ...(stream === undefined ? {} : { [stream]: { schema: { type: 'string' } } }),
  };
  return {
    description,
    ...(headers === undefined
      ? {}
      : {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, text]) => [name, { description: text, schema: { type: 'string' } }]),
          ),
        }),
    ...(Object.keys(content).length === 0 ? {} : { content }),
  };
}

function refusals(problems: readonly ProblemCode[], ref: Ref): Json {
  const byStatus = Map.groupBy(problems, (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `${code}: ${PROBLEMS[code].title}.`).join(' '),
        content: { 'application/problem+json': { schema: ref(problemSchema) } },
      },
    ]),
  );
}
