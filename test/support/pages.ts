/** The project's pages as what they show: code blocks, commands, calls, links, headings. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../../src/cli/commands.ts';
import { ROOT } from './chart.ts';

export interface Page {
  /** From the root: "docs/guides/README.md". */
  readonly path: string;
  readonly text: string;
}

const pagesIn = (folder: string): readonly Page[] =>
  readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map(({ name }) => pageAt(join(folder, name)));

export const pageAt = (path: string): Page => ({ path, text: readFileSync(join(ROOT, path), 'utf8') });

export const PAGES: readonly Page[] = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'].map(pageAt),
  ...pagesIn('docs'),
  ...pagesIn('docs/guides'),
  ...pagesIn('docs/adr'),
];

const FENCED = /^( *)```(\w*)\n([\s\S]*?)^ *```/gm;

/** Texts of the code blocks of a language (of none: ""), also of those that are part of a list. */
export const blocksOf = ({ text }: Page, language: string): readonly string[] =>
  [...text.matchAll(FENCED)]
    .filter(([, , named]) => named === language)
    .map(([, indent = '', , block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));

/** Code within a line. */
export const inlineOf = ({ text }: Page): readonly string[] =>
  [...text.replaceAll(FENCED, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

/** The words of each "sluice ..." in a text of shell lines; comments and what follows a pipe or a redirection are not part of it. */
export const callsIn = (text: string): readonly (readonly string[])[] =>
  [...joined(text).matchAll(/(?:^|[\s($|;`])sluice ((?:"[^"]*"|'[^']*'|[^\s"'|;>)`#]+|[ ])+)/gm)]
    .map(([, words = '']) => [...words.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => unquoted(word)))
    .filter(([first]) => COMMANDS.some(({ name }) => name.split(' ')[0] === first));

const joined = (text: string): string => text.replaceAll(/\\\n\s*/g, ' ');
const unquoted = (word: string): string => word.replaceAll(/["']/g, '');

export interface Curl {
  readonly method: string;
  /** Without the server's address. */
  readonly path: string;
  readonly query: readonly string[];
}

/** The calls of this API that a text of shell lines makes. */
export const curlsIn = (text: string): readonly Curl[] =>
  [
    ...joined(text).matchAll(/\bcurl\b([^\n]*?)["']?\$(?:SLUICE|SLUICE_URL)(\/[^\s"'?]*)(?:\?([^\s"']*))?([^\n]*)/g),
  ].map(([, before = '', path = '', query = '', after = '']) => ({
    method: methodOf(`${before} ${after}`),
    path,
    query: query === '' ? [] : query.split('&').map((pair) => pair.split('=')[0] ?? ''),
  }));

const methodOf = (options: string): string =>
  /-X (\w+)/.exec(options)?.[1] ?? (/(?:^|\s)(?:-d|--data\S*)\s/.test(options) ? 'POST' : 'GET');

/** Where the links of a page lead, but for those out of the project. */
export const linksOf = ({ text }: Page): readonly string[] =>
  [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, to = '']) => to).filter((to) => !/^[a-z]+:/.test(to));

/** As GitHub makes them of headings. */
export const anchorsOf = ({ text }: Page): readonly string[] =>
  [...text.replaceAll(FENCED, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
