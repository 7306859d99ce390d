/**
 * Asks until there is an answer: through restarts, load balancers without a back end, lost networks and a laptop that
 * slept. Every request that comes here may be sent twice: reads, a start with its key, a command with the step it is about.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Millis } from '../../domain/plan.ts';
import type { ProblemCode } from '../../http/problem.ts';
import { Failure } from '../failure.ts';
import { problemOf } from './problem.ts';
import type { Answer, Asked, Silence, Wire } from './wire.ts';

export interface Patience {
  /** How long a server that has not answered yet is tried. */
  readonly first: Millis;
  /** How long one that has answered may be away. */
  readonly later: Millis;
}

export interface Persistent {
  /** null: `until` (by Date.now()) came first, or the signal. */
  ask(asked: Asked, limits?: Limits): Promise<Heard | null>;
  readonly wire: Wire;
}
export interface Limits {
  readonly until?: number | null | undefined;
  readonly signal?: AbortSignal | undefined;
}
export interface Heard {
  readonly answer: Answer;
  /** An earlier attempt got no answer: it may have been carried out. */
  readonly repeated: boolean;
}

const BASE: Millis = 250;
const CAP: Millis = 10_000;
/** A Retry-After beyond this is not believed: the server may be back long before. */
const LONGEST_WISH: Millis = 60_000;

/** Half of it is chance, so that pipelines that lost the same server do not come back in one wave. */
export const pauseAfter = (attempt: number, chance: number): Millis => {
  const most = Math.min(CAP, BASE * 2 ** Math.min(attempt, 10));
  return Math.round(most / 2 + (most / 2) * chance);
};

/** Milliseconds of a Retry-After in seconds; as a date it is not used by anybody in front of this API. */
export function wishOf(header: string | undefined): Millis | null {
  return header !== undefined && /^\d{1,5}$/.test(header) ? Math.min(LONGEST_WISH, Number(header) * 1000) : null;
}

const isProblem = ({ headers }: Answer): boolean => (headers['content-type'] ?? '').includes('problem+json');

/** The server has waited for the part that is away itself: who asks is to know, not to wait once more. */
const WAITED_FOR: ReadonlySet<string> = new Set<ProblemCode>(['metrics_unavailable']);

/** Worth another try: the server, or what stands in front of it, says that it cannot now. */
export function isPassing(answer: Answer, answeredBefore: boolean): boolean {
  if (WAITED_FOR.has(problemOf(answer)?.code ?? '')) return false;
  if ([429, 500, 502, 503, 504].includes(answer.status)) return true;
  // An ingress whose back end is just being replaced answers 404 in its own words.
  return answer.status === 404 && answeredBefore && !isProblem(answer);
}

export interface PersistOptions {
  readonly patience: Patience;
  /** Told once per outage, and once when it is over. */
  readonly onTrouble: (words: string) => void;
}

export function persistent(wire: Wire, { patience, onTrouble }: PersistOptions): Persistent {
  let answered = false;
  return {
    wire,
    async ask(asked, { until = null, signal } = {}) {
      let downSince: number | null = null;
      for (let attempt = 0; ; attempt += 1) {
        if (isAborted(signal)) return null;
        const result = await wire.send(asked, signal);
        if (result.kind === 'silence' && isAborted(signal)) return null;
        const trouble = troubleOf(result, answered);
        if (trouble === null && result.kind === 'answer') {
          if (downSince !== null) onTrouble('the server answers again');
          answered = true;
          return { answer: result, repeated: attempt > 0 };
        }
        const now = Date.now();
        if (downSince === null) onTrouble(`trying again: ${trouble}`);
        downSince ??= now;
        const patient = answered ? patience.later : patience.first;
        if (isHopeless(result) || now - downSince >= patient) throw unreachable(wire, trouble ?? '', result);
        if (until !== null && now >= until) return null;
        const wish = result.kind === 'answer' ? wishOf(result.headers['retry-after']) : null;
        const pause = Math.max(wish ?? 0, pauseAfter(attempt, Math.random()));
        const left = Math.min(until ?? Number.POSITIVE_INFINITY, downSince + patient) - now;
        await sleep(Math.max(1, Math.min(pause, left)), undefined, signal === undefined ? {} : { signal }).catch(woken);
      }
    },
  };
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

/** The sleep was cut short by the signal: the loop sees it. */
const woken = (): void => {};

const isHopeless = (result: Answer | Silence): boolean => result.kind === 'silence' && result.hopeless;

/** null: a real answer. */
function troubleOf(result: Answer | Silence, answeredBefore: boolean): string | null {
  if (result.kind === 'silence') return `no answer (${silenceWords(result)})`;
  return isPassing(result, answeredBefore) ? `the server answered ${result.status}${detailOf(result)}` : null;
}

/** Most messages name their code already. */
export const silenceWords = ({ code, message }: Silence): string =>
  message.includes(code) || code === 'TIMEOUT' ? message : `${code}: ${message}`;

function detailOf(answer: Answer): string {
  const detail = problemOf(answer)?.detail ?? '';
  return detail === '' ? '' : `: ${detail}`;
}

function unreachable(wire: Wire, trouble: string, result: Answer | Silence): Failure {
  const internal = result.kind === 'answer' && result.status === 500;
  return new Failure(internal ? 'error' : 'unreachable', `${wire.url.href}: ${trouble}`, adviceOn(result));
}

function adviceOn(result: Answer | Silence): readonly string[] {
  if (result.kind === 'answer') return ['sluice doctor   says which part is missing'];
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(result.code))
    return ['Where the certificate authority is a private one: NODE_EXTRA_CA_CERTS=/path/of/ca.pem'];
  if (result.code === 'EPROTO' || result.code.startsWith('HPE_') || result.code.startsWith('ERR_SSL'))
    return ['Is it https where the address says http, or the other way round?'];
  return ['Is the address right, and reachable from here? sluice doctor'];
}
