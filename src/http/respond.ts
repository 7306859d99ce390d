/** Writes answers and problems. Bodies are small and complete, so that every answer has its length and no chunk. */
import { STATUS_CODES } from 'node:http';
import type { Response } from 'express';
import { withoutTokens } from '../app/without-tokens.ts';
import type { Refused } from './problem.ts';
import { PROBLEMS, problemDocument } from './problem.ts';

export const requestIdOf = (res: Response): string => String(res.locals['requestId'] ?? '');

export function send(
  res: Response,
  status: number,
  headers: Readonly<Record<string, string>>,
  type: string,
  text: string,
): void {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.statusCode = status;
  if (!res.hasHeader('Content-Type')) res.setHeader('Content-Type', type);
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(text);
}

export function sendEmpty(res: Response, status: number, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.statusCode = status;
  res.end();
}

export function sendProblem(res: Response, refused: Refused): void {
  const { status } = PROBLEMS[refused.problem];
  const text = withoutTokens(JSON.stringify(problemDocument(refused, requestIdOf(res))));
  res.setHeader('Cache-Control', 'no-store');
  send(res, status, refused.headers ?? {}, 'application/problem+json', text);
}

/** For a request that Node's parser refused before any handler saw it. */
export function rawProblem(status: number, code: string, detail: string): string {
  const title = STATUS_CODES[status] ?? 'Error';
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, code });
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
