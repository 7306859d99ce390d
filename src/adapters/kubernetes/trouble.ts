/** From an answer, or none, to a value or trouble that says what was wanted, what was found and what to do. */
import type { Kube, KubeTrouble, KubeTroubleCode } from './kube.ts';
import type { Answer, NoAnswer } from './transport.ts';

/** What was asked, for messages. */
export interface Asked {
  readonly cluster: string;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace: string;
  readonly name: string;
}

const SHOWN = 500;

const CODES: Readonly<Record<number, KubeTroubleCode>> = {
  400: 'rejected',
  401: 'unauthorized',
  403: 'forbidden',
  405: 'rejected',
  406: 'rejected',
  409: 'conflict',
  413: 'rejected',
  415: 'rejected',
  422: 'invalid',
};

export const resourceOf = ({ group, plural }: Asked): string => (group === '' ? plural : `${plural}.${group}`);
const objectOf = (asked: Asked): string =>
  [resourceOf(asked), [asked.namespace, asked.name].filter((part) => part !== '').join('/')]
    .filter((part) => part !== '')
    .join(' ');
const doing = (asked: Asked): string => `${asked.verb} ${objectOf(asked)} in cluster ${asked.cluster}`;

/** The value of a 2xx answer, read by `read`; anything else is trouble. */
export function outcome<T>(
  asked: Asked,
  answer: Answer | NoAnswer,
  read: (body: Record<string, unknown>) => T,
): Kube<T> {
  if (answer.kind === 'none') return unanswered(asked, answer);
  if (answer.status < 200 || answer.status >= 300) return refused(asked, answer);
  const body = parsed(answer.text);
  if (body !== null) return { ok: true, value: read(body) };
  return trouble(
    'unavailable',
    answer,
    `${doing(asked)}: the answer is not the API's JSON but ${excerpt(answer.text)}; is the server's URL that of a Kubernetes API?`,
  );
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Record<string, unknown>) : null;
  } catch {
    // Cut off, or a proxy's HTML page: the caller says which.
    return null;
  }
}

const trouble = (code: KubeTroubleCode, answer: Answer | null, message: string): KubeTrouble => ({
  ok: false,
  code,
  status: answer?.status ?? null,
  message,
  ...(answer?.retryAfter == null ? {} : { retryAfter: answer.retryAfter }),
});

const WRITES: ReadonlySet<string> = new Set(['patch', 'create', 'delete']);

function unanswered(asked: Asked, { cause, message }: NoAnswer): KubeTrouble {
  // A review is created too, but nothing is stored of it.
  const stores = WRITES.has(asked.verb) && asked.group !== 'authorization.k8s.io';
  const unknown = stores ? '; whether the write took place is unknown: read before repeating it' : '';
  return trouble(cause === 'timeout' ? 'timeout' : 'unavailable', null, `${doing(asked)}: ${message}${unknown}`);
}

function refused(asked: Asked, answer: Answer): KubeTrouble {
  const said = wordsOf(answer);
  const code = answer.status === 404 ? absence(answer) : (CODES[answer.status] ?? 'unavailable');
  return trouble(code, answer, `${doing(asked)}: HTTP ${answer.status}: ${said}${remedy(code, asked)}`);
}

/** An absent object is a Status with the object's name; an absent kind is plain text, or a Status about "the requested resource". */
function absence(answer: Answer): KubeTroubleCode {
  const status = parsed(answer.text);
  const bare =
    typeof status?.['message'] === 'string' && status['message'].includes('could not find the requested resource');
  return status?.['kind'] === 'Status' && !bare ? 'not_found' : 'kind_not_served';
}

function wordsOf(answer: Answer): string {
  const status = parsed(answer.text);
  return typeof status?.['message'] === 'string' ? excerpt(status['message']) : excerpt(answer.text);
}

const excerpt = (text: string): string => {
  const line = text.trim().replace(/\s+/g, ' ');
  if (line === '') return 'no words';
  // The reason of a refused patch comes last, after the whole object.
  return line.length > SHOWN ? `${line.slice(0, SHOWN / 4)} … ${line.slice((-SHOWN * 3) / 4)}` : line;
};

function remedy(code: KubeTroubleCode, asked: Asked): string {
  switch (code) {
    case 'forbidden':
      return `. Grant it: apiGroups: ["${asked.group}"], resources: ["${asked.plural}"], verbs: ["${asked.verb}"]`;
    case 'unauthorized':
      return '. The credentials were read again and refused again: check the token or client certificate of this cluster';
    case 'kind_not_served':
      return `. The cluster does not serve ${resourceOf(asked)} in ${asked.version}: install its CRD, or check the version and the server's URL`;
    default:
      return '';
  }
}
