/** A server on 127.0.0.1 that answers nobody but this machine's own programs and its own page. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { send } from './json-call.ts';
import { refusalOf } from './same-origin.ts';

export interface Loopback {
  /** http://127.0.0.1:<port> */
  readonly url: string;
  stop(): Promise<void>;
}

export async function listenOnLoopback(
  answer: (asked: URL, incoming: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Promise<Loopback> {
  let port = 0;
  const server = createServer((incoming, response) => {
    const refusal = refusalOf({ method: incoming.method ?? '', headers: incoming.headers }, port);
    if (refusal !== null) return json(response, refusal.status, { error: refusal.words });
    Promise.resolve(answer(new URL(incoming.url ?? '/', 'http://127.0.0.1'), incoming, response)).catch(
      (error: unknown) => response.destroy(error as Error),
    );
  });
  await new Promise<void>((fulfil, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', fulfil);
  });
  port = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((fulfil) => {
        server.close(() => fulfil());
        server.closeAllConnections();
      }),
  };
}

export const json = (response: ServerResponse, status: number, body: unknown): void => send(response, { status, body });

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

export interface Shown {
  readonly title: string;
  /** What this is, and what it is not. */
  readonly about: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | { readonly text: string; readonly href: string })[])[];
  /** In place of rows. */
  readonly none: string;
}

/** One table, with nothing that a browser would have to run. */
export function page(response: ServerResponse, { title, about, columns, rows, none }: Shown): void {
  const cell = (one: Shown['rows'][number][number]): string =>
    typeof one === 'string' ? escaped(one) : `<a href="${escaped(one.href)}">${escaped(one.text)}</a>`;
  const line = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((text) => `<${tag}>${text}</${tag}>`).join('')}</tr>`;
  const table =
    rows.length === 0
      ? `<p>${escaped(none)}</p>`
      : `<table>${line(columns.map(escaped), 'th')}${rows.map((row) => line(row.map(cell), 'td')).join('')}</table>`;
  response
    .writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      'x-content-type-options': 'nosniff',
    })
    .end(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;margin:2rem;color-scheme:light dark}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}</style>
</head><body><h1>${escaped(title)}</h1><p>${escaped(about)}</p>${table}</body></html>`);
}
