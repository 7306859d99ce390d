/** Calls with JSON to the sandbox's own server: read, checked against a schema, carried out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A call that is understood and not carried out now. */
export class NotNow extends Error {
  override readonly name = 'NotNow';
}

const BODY_LIMIT = 10_000;

/** 200 when it was carried out, 400 with what was wanted where the body does not fit, 409 with the words of a NotNow. */
export async function act<T>(
  incoming: IncomingMessage,
  schema: z.ZodType<T>,
  run: (value: T) => Promise<void>,
): Promise<Answer> {
  const parsed = schema.safeParse(jsonOf(await bodyOf(incoming)));
  if (!parsed.success) return { status: 400, body: { error: z.prettifyError(parsed.error) } };
  try {
    await run(parsed.data);
  } catch (error) {
    if (error instanceof NotNow) return { status: 409, body: { error: error.message } };
    throw error;
  }
  return { status: 200, body: { done: true } };
}

/** What goes wrong is told to whoever called. */
export function reply(response: ServerResponse, answering: Promise<Answer>): void {
  answering
    .catch((error: unknown): Answer => ({ status: 500, body: { error: (error as Error).message } }))
    .then((found) => send(response, found))
    .catch((error: unknown) => response.destroy(error as Error));
}

export function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' });
  response.end(`${JSON.stringify(body)}\n`);
}

function jsonOf(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    return text; // the schema says what was wanted
  }
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of incoming.setEncoding('utf8') as AsyncIterable<string>) {
    text += part;
    if (text.length > BODY_LIMIT) throw new Error(`wanted at most ${BODY_LIMIT} characters`);
  }
  return text;
}
