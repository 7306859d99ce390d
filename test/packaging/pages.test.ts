/** What the pages show is what there is: links, plans, commands and calls. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { document } from '../../scripts/api-reference/document.ts';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { parseFleet } from '../../src/app/fleet/document.ts';
import { migrationSchema } from '../../src/app/migration/schema.ts';
import { parse } from '../../src/cli/arguments.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { offlineParser } from '../../src/cli/offline-parser.ts';
import { chartFile, ROOT } from '../support/chart.ts';
import {
  anchorsOf,
  blocksOf,
  callsIn,
  curlsIn,
  inlineOf,
  linksOf,
  PAGES,
  type Page,
  pageAt,
} from '../support/pages.ts';

/** A block without a language is a shell's here. */
const SHELL = ['sh', 'yaml', ''];

const each = PAGES.map((page) => [page.path, page] as const);

describe('every page', () => {
  it.each(each)('%s leads to files and headings that are there', (path, page) => {
    const broken = linksOf(page).filter((link) => {
      const [file = '', anchor] = link.split('#');
      const to = file === '' ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(ROOT, to))) return true;
      return anchor !== undefined && to.endsWith('.md') && !anchorsOf(pageAt(to)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it('of docs is one link away from the README, or two', () => {
    const seen = new Set(['README.md']);
    for (const path of ['README.md', 'docs/guides/README.md'])
      for (const link of linksOf(pageAt(path))) seen.add(normalize(join(dirname(path), link.split('#')[0] ?? '')));
    expect(PAGES.map(({ path }) => path).filter((path) => !path.startsWith('docs/adr/') && !seen.has(path))).toEqual(
      [],
    );
  });

  it.each(each)('%s shows commands that are understood', (_, page) => {
    const shown = SHELL.flatMap((language) => blocksOf(page, language)).flatMap(callsIn);
    for (const words of shown) expect(() => parse([...words]), words.join(' ')).not.toThrow();
    const named = inlineOf(page).filter(isCommand).flatMap(callsIn);
    for (const words of named) expect(() => parseNamed(words), words.join(' ')).not.toThrow();
  });
});

/** A command that is only named in a sentence ("`sluice run` waits") need not have its arguments there. */
function parseNamed(words: readonly string[]): void {
  try {
    parse([...words]);
  } catch {
    const spec = COMMANDS.find(({ name }) => words.slice(0, name.split(' ').length).join(' ') === name);
    parse([...words, ...(spec?.args ?? []).filter(({ optional }) => optional !== true).map(({ name }) => name)]);
  }
}

describe("the operator's commands that the pages show", () => {
  const source = readFileSync(join(ROOT, 'src/main.ts'), 'utf8');
  const [, options = ''] = /const OPTIONS = \{([\s\S]*?)\} as const/.exec(source) ?? [];
  const flags = [...options.matchAll(/^ {2}(\w+):/gm)].map(([, name = '']) => name);
  const verbs = /^(?:token (?:create|list|revoke)|slack (?:map|unmap|doctor))$/;

  it.each(each)('in %s are understood', (_, page) => {
    const shown = SHELL.flatMap((language) => blocksOf(page, language))
      .join('\n')
      .replaceAll(/\\\n\s*/g, ' ');
    for (const [, role, verb, rest = ''] of shown.matchAll(/(?:sluice|main\.js) (token|slack) (\w+)([^\n#|)]*)/g)) {
      expect(`${role} ${verb}`).toMatch(verbs);
      for (const [, flag = ''] of rest.matchAll(/--(\w+)/g)) expect(flags).toContain(flag);
    }
  });
});

/** The audit's bytes begin with "sluice audit 1,": no command ends so. */
const isCommand = (code: string): boolean => !code.endsWith(',');

describe('the calls that the pages show', async () => {
  const { paths } = await document();
  const fits = (shown: string, known: string): boolean => {
    const [own, wanted] = [shown.split('/'), known.split('/')];
    return own.length === wanted.length && own.every((part, i) => part === wanted[i] || wanted[i]?.startsWith('{'));
  };
  const operation = (method: string, path: string) => {
    // A path that is there as it is comes before one with a parameter.
    const known = Object.keys(paths).toSorted((a, b) => Number(b === path) - Number(a === path));
    const template = known.find((one) => fits(path, one));
    return template === undefined ? undefined : paths[template]?.[method.toLowerCase()];
  };
  /** Mounted beside the API, with their own rules; and a user's own service. */
  const OTHERS = /^\/(?:ui|slack|login|page|session|api)\b/;

  it.each(each)('by curl in %s are those of the API', (_, page) => {
    for (const { method, path, query } of ['sh', ''].flatMap((language) => blocksOf(page, language)).flatMap(curlsIn)) {
      const known = operation(method, path);
      expect(known?.operationId, `${method} ${path}`).toBeDefined();
      const parameters = (known?.parameters ?? []).filter((one) => one.in === 'query').map(({ name }) => name);
      expect(parameters, `${method} ${path}`).toEqual(expect.arrayContaining([...query]));
    }
  });

  it.each(each)('by name in %s are those of the API', (path, page) => {
    // What was decided then may be called otherwise now; the sandbox has calls of its own.
    if (path.startsWith('docs/adr/') || path === 'docs/sandbox.md') return;
    const named = inlineOf(page).flatMap((code) => [...code.matchAll(/^(GET|POST) (\/[^\s?]*)/g)]);
    for (const [, method = '', called = ''] of named.filter(([, , at = '']) => !OTHERS.test(at)))
      expect(operation(method, called)?.operationId, `${method} ${called}`).toBeDefined();
  });
});

describe('the YAML that the pages show', async () => {
  const [parser, meshes] = await Promise.all([offlineParser(), loadMeshes()]);
  const BASE = {
    target: meshes.get('istio')?.example,
    steps: [
      { weight: 5, hold: '1m' },
      { weight: 50, hold: '1m' },
    ],
  };
  const schema = parser.jsonSchema as {
    properties: Readonly<Record<string, { readonly properties?: Readonly<Record<string, unknown>> }>>;
  };
  const PLAN = new Set(Object.keys(schema.properties));
  const ANALYSIS = new Set(Object.keys(schema.properties['analysis']?.properties ?? {}));
  const within = (value: object, known: ReadonlySet<string>): boolean =>
    Object.keys(value).length > 0 && Object.keys(value).every((key) => known.has(key));

  /** What a block is a part of, and what that part says of it: problems in words. null: something else than Sluice reads it. */
  function problemsOf(shown: object): readonly string[] | null {
    if ('plan' in shown && 'waves' in shown) {
      const clusters = (shown.waves as { clusters: string[] }[]).flatMap((wave) => wave.clusters);
      const parsed = parseFleet({ parser, clusters }, shown);
      return parsed.ok ? [] : parsed.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
    }
    if ('scope' in shown)
      return (migrationSchema.safeParse(shown).error?.issues ?? []).map(({ path, message }) => `${path}: ${message}`);
    if ('steps' in shown && JSON.stringify(shown.steps).includes('"run":')) return null; // a workflow of GitHub
    const plan = within(shown, PLAN) ? shown : within(shown, ANALYSIS) ? { analysis: shown } : null;
    if (plan === null) return null;
    const parsed = parser.parse({ ...BASE, ...plan });
    return parsed.ok ? [] : parsed.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
  }

  it.each(each)('in %s is YAML, and what Sluice reads of it is as it reads it', (_, page) => {
    for (const block of blocksOf(page, 'yaml')) {
      for (const { errors } of parseAllDocuments(block)) expect(errors, block).toEqual([]);
      const [shown] = parseAllDocuments(block).map((one) => one.toJS() as unknown);
      if (typeof shown === 'object' && shown !== null && !Array.isArray(shown))
        expect(problemsOf(shown) ?? [], block).toEqual([]);
    }
  });

  it('is a plan, or a part of one, often enough for this to mean something', () => {
    const counted = PAGES.flatMap((page) => blocksOf(page, 'yaml'))
      .map((block) => parseAllDocuments(block)[0]?.toJS() as unknown)
      .filter((shown) => typeof shown === 'object' && shown !== null && problemsOf(shown) !== null);
    expect(counted.length).toBeGreaterThan(15);
  });

  it('tells a wrong plan from a right one', () => {
    expect(problemsOf({ steps: [{ weight: 5, hold: 'soon' }] })).not.toEqual([]);
    expect(problemsOf({ steps: [{ weight: 5, hold: '1m' }] })).toEqual([]);
  });
});

describe('the chart values that the pages set', () => {
  interface Values {
    readonly properties?: Readonly<Record<string, Values>>;
    readonly additionalProperties?: unknown;
    readonly patternProperties?: unknown;
  }
  const schema = JSON.parse(chartFile('values.schema.json')) as Values;
  const isKnown = (path: string): boolean => {
    let at: Values | undefined = schema;
    for (const part of path.split('.')) {
      if (at?.properties === undefined) return at !== undefined; // A map: its keys are the user's.
      at = at.properties[part];
    }
    return at !== undefined;
  };
  const set = ({ text }: Page): readonly string[] =>
    [...text.matchAll(/--set(?:-string)? '?([a-zA-Z.]+)=/g)].map(([, path = '']) => path);

  it.each(each.filter(([, page]) => page.text.includes('helm ')))('in %s are values of the chart', (_, page) => {
    const shown = ['sh'].flatMap((language) => blocksOf(page, language)).filter((block) => block.includes('helm '));
    for (const path of shown.flatMap((text) => set({ path: '', text }))) expect(isKnown(path), path).toBe(true);
  });
});
