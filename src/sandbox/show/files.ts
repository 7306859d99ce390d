/** The files of the sandbox's page: its own, and those of the product's page that it looks and draws with. */
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface File {
  readonly type: string;
  readonly body: string;
}

const SOURCE = fileURLToPath(new URL('../../', import.meta.url));
const OWN = 'sandbox/show/page';
/** By path below src, as the modules import each other. */
const FOLDERS = [OWN, 'page'];
const SHELL = 'index.html';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
};

/** By path of the address: "/" and "/sandbox/show/page/main.js". Read once. */
export function pageFiles(): ReadonlyMap<string, File> {
  const read = (path: string, type: string): File => ({ type, body: readFileSync(join(SOURCE, path), 'utf8') });
  const assets = FOLDERS.flatMap((folder) =>
    readdirSync(join(SOURCE, folder)).flatMap((name): [string, File][] => {
      const type = TYPES[extname(name)];
      return type === undefined ? [] : [[`/${folder}/${name}`, read(`${folder}/${name}`, type)]];
    }),
  );
  return new Map([['/', read(`${OWN}/${SHELL}`, 'text/html; charset=utf-8')], ...assets]);
}

/** Nothing inline, nothing from elsewhere, nothing that can be framed or posted away. */
export const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-cache',
} as const;
