/** What Kiali says of the objects around a target, by the API of either generation. */
import type { MeshValidator } from '../../app/ports.ts';
import type { Tracer } from '../../app/tracer.ts';
import type { Finding } from '../../app/usecases.ts';
import type { Millis, Target } from '../../domain/plan.ts';
import type { GetJson } from '../get-json.ts';
import { basicAuth, below, getJson, refusedWords } from '../get-json.ts';
import { coversHost, expandHost } from '../routes/hosts.ts';
import { isRecord, listAt, recordAt, textAt } from '../routes/json.ts';
import type { KialiCheck, KialiValidation } from './findings.ts';
import { kialiFindings, kialiUnknown } from './findings.ts';
import type { KialiObject, ObjectPath } from './object.ts';
import { objectOf, objectPathOf } from './object.ts';

export interface KialiOptions {
  /** As this service reaches it, with the web root. */
  readonly url: string;
  readonly objectPath: ObjectPath;
  readonly token: string | null;
  readonly timeout?: Millis;
  readonly maxBytes?: number;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
}

/** Of one answer; two are asked for, at the same time. The preflight waits for them. */
const TIMEOUT: Millis = 3_000;
/** A namespace with hundreds of objects, each told in full. */
const MAX_BYTES = 8 * 1024 * 1024;

type Asked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

export function kialiValidator(options: KialiOptions): MeshValidator {
  const { url, objectPath, token, timeout = TIMEOUT, maxBytes = MAX_BYTES, tracer } = options;
  const server = `Kiali at ${below(url, '').href}`;
  const headers = token === null ? basicAuth(url) : { authorization: `Bearer ${token}` };
  const how: GetJson = { server, headers, timeout, maxBytes, call: 'kiali.get', tracer };

  async function ask(path: string): Promise<Asked<Readonly<Record<string, unknown>>>> {
    const answer = await getJson(below(url, path, { validate: 'true' }), how);
    if (!answer.ok) return answer;
    if (answer.status !== 200) return { ok: false, message: refusedWords(server, answer.status) };
    if (!isRecord(answer.json))
      return { ok: false, message: `${server} answers with a page in place of JSON; is its web root in the address?` };
    return { ok: true, value: answer.json };
  }

  return {
    async findings(target): Promise<readonly Finding[]> {
      const object = objectOf(target);
      if (object === null) return [];
      const base = `/api/namespaces/${encodeURIComponent(target.namespace)}/istio`;
      const [route, all] = await Promise.all([ask(`${base}/${objectPathOf(object, objectPath)}`), ask(base)]);
      if (!route.ok) return kialiUnknown(route.message);
      if (!all.ok) return kialiUnknown(all.message);
      if (!isRecord(route.value['validation']))
        return kialiUnknown(
          `${server} says nothing of the validity of ${object.kind} ${object.namespace}/${object.name}`,
        );
      return kialiFindings([validationOf(object, route.value), ...destinationRules(all.value, target)]);
    },
  };
}

/** The answer about one object: `validation.checks`. */
const validationOf = ({ kind, namespace, name }: KialiObject, answer: unknown): KialiValidation => ({
  object: `${kind} ${namespace}/${name}`,
  checks: checksIn(recordAt(answer, 'validation')),
});

const checksIn = (validation: unknown): readonly KialiCheck[] =>
  listAt(validation, 'checks').map((check) => {
    const message = textAt(check, 'message') ?? '';
    return {
      code: textAt(check, 'code') ?? /\bKIA\d{4}\b/.exec(message)?.[0] ?? '',
      message,
      severity: textAt(check, 'severity') ?? '',
      path: textAt(check, 'path') ?? '',
    };
  });

/**
 * Of the answer about a namespace: what is said of the DestinationRules for the target's hosts. Kiali 1 lists objects
 * under `destinationRules` and validations under `destinationrule`; Kiali 2 both under group, version and kind.
 */
function destinationRules(answer: Readonly<Record<string, unknown>>, target: Target): readonly KialiValidation[] {
  const { namespace } = target;
  const hosts = new Set(
    [target.service, target.stable['host'], target.canary['host']].flatMap((host) =>
      typeof host === 'string' ? [expandHost(host, namespace)] : [],
    ),
  );
  const lists = [answer['destinationRules'], ...Object.entries(recordAt(answer, 'resources')).flatMap(rulesOnly)];
  const names = lists.flatMap((list) =>
    (Array.isArray(list) ? list : []).flatMap((object) => {
      const host = textAt(recordAt(object, 'spec'), 'host');
      const concerns = host !== null && [...hosts].some((wanted) => coversHost(expandHost(host, namespace), wanted));
      return concerns ? (textAt(recordAt(object, 'metadata'), 'name') ?? []) : [];
    }),
  );
  const validations = Object.entries(recordAt(answer, 'validations')).flatMap(rulesOnly);
  return names.map((name) => ({
    object: `DestinationRule ${namespace}/${name}`,
    checks: validations.flatMap((byName) => checksIn(recordAt(byName, `${name}.${namespace}`))),
  }));
}

const rulesOnly = ([kind, value]: [string, unknown]): readonly unknown[] =>
  kind.toLowerCase().includes('destinationrule') ? [value] : [];
