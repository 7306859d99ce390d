/** A refusal of the server, as the end of a command. */
import type { Fault, ProblemCode } from '../../http/problem.ts';
import { endingOfProblem } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import type { Answer } from './wire.ts';

/** What of a problem document is used here. Anything may be missing: proxies answer too. */
export interface ProblemBody {
  readonly code: ProblemCode | null;
  readonly title: string;
  readonly detail: string;
  readonly suggestion: string | null;
  readonly requestId: string | null;
  readonly errors: readonly Fault[];
  readonly findings: readonly {
    readonly check: string;
    readonly level: string;
    readonly message: string;
    readonly remediation?: string;
    readonly ignored?: boolean;
  }[];
  readonly missing: readonly { readonly part: string; readonly message: string }[];
  readonly rollout: { readonly id: string; readonly status: string; readonly step: number | null } | null;
}

/** null: this is no problem document. */
export function problemOf({ text, headers }: Answer): ProblemBody | null {
  if (!(headers['content-type'] ?? '').includes('problem+json')) return null;
  try {
    const body = JSON.parse(text) as Partial<Record<keyof ProblemBody, unknown>>;
    const word = (key: keyof ProblemBody): string | null => (typeof body[key] === 'string' ? String(body[key]) : null);
    const list = (key: keyof ProblemBody): readonly never[] => (Array.isArray(body[key]) ? body[key] : []) as never[];
    return {
      code: word('code') as ProblemCode | null,
      title: word('title') ?? '',
      detail: word('detail') ?? '',
      suggestion: word('suggestion'),
      requestId: word('requestId'),
      errors: list('errors'),
      findings: list('findings'),
      missing: list('missing'),
      rollout: (body.rollout ?? null) as ProblemBody['rollout'],
    };
  } catch {
    return null;
  }
}

/** `of`: what was asked for, in words. */
export function refusal(answer: Answer, of: string, problem = problemOf(answer)): Failure {
  const { status, headers } = answer;
  if (problem === null) {
    const { location } = headers;
    if (status >= 300 && status < 400)
      return new Failure('usage', `${of}: the server sends elsewhere (${status})`, [
        `Use the address that answers itself: ${location === undefined ? 'unknown' : originOf(location)}`,
      ]);
    return new Failure(
      status === 404 ? 'error' : endingOfProblem(null, status),
      `${of}: the answer is ${status}, and not one of a Sluice server`,
      ['Is the address right? A proxy may stand in between. sluice doctor'],
    );
  }
  const advice = [
    ...(problem.suggestion === null ? [] : [problem.suggestion]),
    ...(problem.code === 'unauthenticated'
      ? ['sluice login   stores a new token, or signs in by the browser (--oidc); or set SLUICE_TOKEN']
      : []),
    ...(problem.code === 'metrics_unavailable' ? ['sluice doctor   says which metrics providers answer'] : []),
    ...(status >= 500 && problem.requestId !== null ? [`Request id: ${problem.requestId}`] : []),
  ];
  const answered = status >= 500 ? `the server answered ${status}: ` : '';
  const message = `${of}: ${answered}${problem.title}: ${problem.detail}`;
  return new Failure(endingOfProblem(problem.code, status), message, advice, safeParse(answer.text));
}

const safeParse = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};

/** Without path and query: they may carry what is not for a screen. */
const originOf = (location: string): string => (URL.canParse(location) ? new URL(location).origin : 'unknown');
