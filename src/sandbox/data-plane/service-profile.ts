/**
 * ServiceProfile (linkerd.io) as Linkerd's proxies read it: named routes with their timeouts and failures, and
 * `dstOverrides`, by which alone they divide requests. A TrafficSplit does nothing before the adaptor has copied it there.
 */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import { objectOf } from './istio-route.ts';
import type { Asked, Destination, RouteObject, Rule, Weighted } from './routing.ts';
import { milliseconds, PLAIN, UnsupportedRoute, wholeMatch } from './routing.ts';

interface RequestMatch {
  readonly all?: readonly RequestMatch[];
  readonly any?: readonly RequestMatch[];
  readonly not?: RequestMatch | readonly RequestMatch[];
  readonly method?: string;
  readonly pathRegex?: string;
}

interface ResponseMatch {
  readonly all?: readonly ResponseMatch[];
  readonly any?: readonly ResponseMatch[];
  readonly not?: ResponseMatch;
  readonly status?: { readonly min?: number; readonly max?: number };
}

interface WrittenRoute {
  readonly name: string;
  readonly condition: RequestMatch;
  readonly responseClasses?: readonly { readonly condition: ResponseMatch; readonly isFailure?: boolean }[];
  readonly timeout?: string;
}

interface Spec {
  readonly routes?: readonly WrittenRoute[];
  readonly dstOverrides?: readonly { readonly authority: string; readonly weight: number | string }[];
}

/** "900m" is 0.9; "1" and 1 are 1. Throws on anything else. */
export function quantity(weight: number | string): number {
  const found = /^(\d+(?:\.\d+)?)(m?)$/.exec(String(weight));
  if (found === null) throw new Error(`wanted a weight like 900m or 1; found ${JSON.stringify(weight)}`);
  return Number(found[1]) / (found[2] === 'm' ? 1000 : 1);
}

/** `straight`: where requests go that nothing divides. Throws UnsupportedRoute. */
export function profileRules(profile: KubeObject, straight: Destination): readonly Rule[] {
  const object = objectOf(profile);
  const { routes = [], dstOverrides = [] } = (profile.spec ?? {}) as Spec;
  const backends =
    dstOverrides.length === 0 ? [{ destination: straight, weight: 1, headers: null }] : shares(object, dstOverrides);
  const dst = `${object.name}:80`;
  const named = routes.map(({ name, condition, responseClasses = [], timeout }): Rule => {
    const matches = request(condition);
    const classes = responseClasses.map(({ condition: when, isFailure = false }) => ({
      fits: response(when),
      isFailure,
    }));
    return {
      ...PLAIN,
      object,
      name: `route ${name}`,
      matches,
      backends,
      timeout: timeout === undefined ? null : milliseconds(timeout),
      profile: {
        dst,
        route: name,
        isFailure: (status) => classes.find(({ fits }) => fits(status))?.isFailure ?? status >= 500,
      },
    };
  });
  const rest: Rule = {
    ...PLAIN,
    object,
    name: 'profile',
    matches: () => true,
    backends,
    profile: { dst, route: null, isFailure: (status) => status >= 500 },
  };
  return [...named, rest];
}

function shares(object: RouteObject, overrides: NonNullable<Spec['dstOverrides']>): readonly Weighted[] {
  const all = overrides
    .map(({ authority, weight }) => ({
      destination: serviceIn(object, authority),
      weight: quantity(weight),
      headers: null,
    }))
    .filter(({ weight }) => weight > 0);
  if (all.length === 0) throw new UnsupportedRoute(object, 'dstOverrides with a total weight of 0');
  return all;
}

function serviceIn(object: RouteObject, authority: string): Destination {
  const [service, namespace, svc] = authority.replace(/:\d+$/, '').split('.');
  if (service === undefined || namespace === undefined || svc !== 'svc')
    throw new UnsupportedRoute(object, `the authority ${authority} of a dstOverride, which is no Service's full name`);
  return { service, namespace, subset: null };
}

function request({ all = [], any = [], not = [], method, pathRegex }: RequestMatch): (asked: Asked) => boolean {
  const path = pathRegex === undefined ? null : wholeMatch(pathRegex);
  const every = all.map(request);
  const some = any.map(request);
  const none = [not].flat().map((one) => request(one as RequestMatch));
  return (asked) =>
    (method === undefined || method.toUpperCase() === asked.method) &&
    (path === null || path.test(asked.path)) &&
    every.every((fits) => fits(asked)) &&
    (some.length === 0 || some.some((fits) => fits(asked))) &&
    !none.some((fits) => fits(asked));
}

function response({ all = [], any = [], not, status }: ResponseMatch): (code: number) => boolean {
  const { min = 0, max = 999 } = status ?? {};
  const every = all.map(response);
  const some = any.map(response);
  const none = not === undefined ? null : response(not);
  return (code) =>
    code >= min &&
    code <= max &&
    every.every((fits) => fits(code)) &&
    (some.length === 0 || some.some((fits) => fits(code))) &&
    none?.(code) !== true;
}
