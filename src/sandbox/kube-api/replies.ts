/** Answers on the wire: as they should be, or broken as a fault rule says. */
import type { ServerResponse } from 'node:http';
import type { FaultRule } from './faults.ts';
import { failure, Refusal } from './refusal.ts';

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const json = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  body,
  contentType: 'application/json',
  headers,
});

export function send(response: ServerResponse, { status, body, contentType: type, headers = {} }: Reply): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-cache, private',
    ...headers,
  });
  response.end(bytes);
}

export const pause = async (rule: FaultRule | null): Promise<void> => {
  if (rule?.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, rule.delayMs));
};

/** Breaks the answer as the rule says; false: the rule leaves the answer alone. */
export function breakAnswer(rule: FaultRule, response: ServerResponse): boolean {
  if (rule.hang === true) return true;
  if (rule.drop === true) {
    response.destroy();
    return true;
  }
  if (rule.status === undefined) return false;
  const headers = rule.retryAfter === undefined ? {} : { 'retry-after': String(rule.retryAfter) };
  if (rule.body !== undefined)
    send(response, { status: rule.status, body: rule.body.text, contentType: rule.body.contentType, headers });
  else
    send(
      response,
      json(
        rule.status,
        JSON.stringify(failure(rule.status, REASONS[rule.status] ?? '', rule.message ?? `injected: ${rule.status}`)),
        headers,
      ),
    );
  return true;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

export function refusalToReply(error: unknown): Reply {
  if (!(error instanceof Refusal)) throw error;
  if (typeof error.body === 'string')
    return { status: error.status, body: error.body, contentType: 'text/plain; charset=utf-8', headers: error.headers };
  return json(error.status, JSON.stringify(error.body), error.headers);
}
