/** HTTPRoute of the Gateway API and of Linkerd's policy group: which fields each version knows, and what it fills in. */
import type { Json } from '../json.ts';
import { flag, int32, list, object, oneOf, type Schema, text, withDefault } from '../schema.ts';

const portNumber: Schema = { ...int32, minimum: 1, maximum: 65_535 };
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'];
const EVERY_PATH: Json = [{ path: { type: 'PathPrefix', value: '/' } }];

const header = object({ name: text, value: text }, 'name', 'value');
const headerModifier = object({ add: list(header), remove: list(text), set: list(header) });
const path = object(
  { replaceFullPath: text, replacePrefixMatch: text, type: oneOf('ReplaceFullPath', 'ReplacePrefixMatch') },
  'type',
);
const redirect = object({
  hostname: text,
  path,
  port: portNumber,
  scheme: oneOf('http', 'https'),
  statusCode: withDefault({ type: 'integer' }, 302),
});

const valueMatch = object(
  { name: text, type: withDefault(oneOf('Exact', 'RegularExpression'), 'Exact'), value: text },
  'name',
  'value',
);
const matches = (most: number): Schema =>
  withDefault(
    list(
      object({
        headers: list(valueMatch),
        method: oneOf(...METHODS),
        path: withDefault(
          object({
            type: withDefault(oneOf('Exact', 'PathPrefix', 'RegularExpression'), 'PathPrefix'),
            value: withDefault(text, '/'),
          }),
          { type: 'PathPrefix', value: '/' },
        ),
        queryParams: list(valueMatch),
      }),
      { maxItems: most },
    ),
    EVERY_PATH,
  );

const parentRef = (group: string, port: Schema): Schema =>
  object(
    {
      group: withDefault(text, group),
      kind: withDefault(text, 'Gateway'),
      name: text,
      namespace: text,
      port,
      sectionName: text,
    },
    'name',
  );

const condition = object(
  {
    lastTransitionTime: text,
    message: text,
    observedGeneration: { type: 'integer', minimum: 0, format: 'int64' },
    reason: text,
    status: oneOf('True', 'False', 'Unknown'),
    type: text,
  },
  'lastTransitionTime',
  'message',
  'reason',
  'status',
  'type',
);

const route = (group: string, parentPort: Schema, rule: Record<string, Schema>): Schema =>
  object(
    {
      spec: object({
        hostnames: list(text, { maxItems: 16 }),
        parentRefs: list(parentRef(group, parentPort), { maxItems: 32 }),
        rules: withDefault(list(object(rule), { maxItems: 16 }), [{ matches: EVERY_PATH }]),
      }),
      status: object(
        {
          parents: list(
            object(
              { conditions: list(condition), controllerName: text, parentRef: parentRef(group, portNumber) },
              'controllerName',
              'parentRef',
            ),
            { maxItems: 32 },
          ),
        },
        'parents',
      ),
    },
    'spec',
  );

const reference = {
  group: withDefault(text, ''),
  kind: withDefault(text, 'Service'),
  name: text,
  namespace: text,
  port: portNumber,
};
const weight = withDefault({ ...int32, minimum: 0, maximum: 1_000_000 }, 1);

// ── Linkerd: policy.linkerd.io ──────────────────────────────────────────────────────────────────────────────────────

const LINKERD = 'policy.linkerd.io';
const MODIFY_OR_REDIRECT = { requestHeaderModifier: headerModifier, requestRedirect: redirect };
const linkerdRuleFilters = list(
  object({ ...MODIFY_OR_REDIRECT, type: oneOf('RequestHeaderModifier', 'RequestRedirect') }, 'type'),
);
const linkerdBackendFilters = list(
  object(
    {
      ...MODIFY_OR_REDIRECT,
      responseHeaderModifier: headerModifier,
      type: oneOf('RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect'),
    },
    'type',
  ),
);
const weighted = list(object({ ...reference, filters: linkerdBackendFilters, weight }, 'name'), { maxItems: 16 });

/** v1alpha1, v1beta1: no weights; a write through them resets the weights of every backend to 1. */
export const linkerdUnweighted = route(
  LINKERD,
  { type: 'integer' },
  {
    backendRefs: list(
      object({
        filters: linkerdBackendFilters,
        name: text,
        namespace: withDefault(text, 'default'),
        port: { type: 'integer' },
      }),
    ),
    filters: linkerdRuleFilters,
    matches: matches(8),
  },
);

/** v1beta2: weights, no timeouts; a write through it drops the timeouts. */
export const linkerdWithoutTimeouts = route(LINKERD, portNumber, {
  backendRefs: weighted,
  filters: linkerdRuleFilters,
  matches: matches(8),
});

/** v1beta3. */
export const linkerd = route(LINKERD, portNumber, {
  backendRefs: weighted,
  filters: linkerdRuleFilters,
  matches: matches(8),
  timeouts: object({ backendRequest: text, request: text }),
});

// ── Gateway API: gateway.networking.k8s.io, v1 and v1beta1 alike ─────────────────────────────────────────────────────

const filtersWith = (share: Record<string, Schema>): Schema =>
  list(
    object(
      {
        cors: object({
          allowCredentials: flag,
          allowHeaders: list(text),
          allowMethods: list(text),
          allowOrigins: list(text),
          exposeHeaders: list(text),
          maxAge: withDefault(int32, 5),
        }),
        extensionRef: object({ group: text, kind: text, name: text }, 'group', 'kind', 'name'),
        requestHeaderModifier: headerModifier,
        requestMirror: object(
          {
            backendRef: object(reference, 'name'),
            ...share,
          },
          'backendRef',
        ),
        requestRedirect: redirect,
        responseHeaderModifier: headerModifier,
        type: oneOf(
          'RequestHeaderModifier',
          'ResponseHeaderModifier',
          'RequestMirror',
          'RequestRedirect',
          'URLRewrite',
          'ExtensionRef',
          'CORS',
        ),
        urlRewrite: object({ hostname: text, path }),
      },
      'type',
    ),
    { maxItems: 16 },
  );

const gatewayRoute = (filters: Schema, rule: Record<string, Schema>): Schema =>
  route('gateway.networking.k8s.io', portNumber, {
    backendRefs: list(object({ ...reference, filters, weight }, 'name'), { maxItems: 16 }),
    filters,
    matches: matches(64),
    timeouts: object({ backendRequest: text, request: text }),
    ...rule,
  });

const mirrorShare = {
  fraction: object({ denominator: withDefault(int32, 100), numerator: int32 }, 'numerator'),
  percent: { ...int32, minimum: 0, maximum: 100 },
};

export const gateway = gatewayRoute(filtersWith(mirrorShare), { name: text });

/** The standard channel before 1.3: a mirror of all requests or none, and rules without names. */
export const gatewayBefore13 = gatewayRoute(filtersWith({}), {});
