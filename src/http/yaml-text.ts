/** YAML as a notation for plain data: one document, no duplicate keys, no tags, aliases only a few. */
import type { Alias, Document, Pair, ParsedNode, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { isAlias, isMap, isNode, isScalar, parseAllDocuments, parseDocument, visit } from 'yaml';

export interface YamlFault {
  readonly offset: number;
  readonly code: string;
  readonly message: string;
}

export type YamlRead =
  | { readonly ok: true; readonly value: unknown; readonly offsetOf: (path: readonly string[]) => number | null }
  | { readonly ok: false; readonly fault: YamlFault };

/**
 * Limits on the text, checked before the parser sees it. Measured on 256 kB: 20,000 lines of keys held the event loop for
 * 6 s, and 120,000 opening brackets aborted an older runtime. No plan comes near these figures.
 */
const MAX_LINES = 5_000;
const MAX_SEPARATORS = 20_000;
const MAX_DEPTH = 64;
const MAX_ALIASES = 50;

const failed = (offset: number, code: string, message: string): YamlRead => ({
  ok: false,
  fault: { offset, code, message },
});

export function readYaml(text: string): YamlRead {
  const tooMuch = excess(text);
  if (tooMuch !== null) return { ok: false, fault: tooMuch };
  return plainOf(parseDocument(text, OPTIONS));
}

/** Documents one after the other, as a list; those of only comments are left out. The first step of a path is the index. */
export function readYamlStream(text: string): YamlRead {
  const tooMuch = excess(text);
  if (tooMuch !== null) return { ok: false, fault: tooMuch };
  const stream = parseAllDocuments(text, OPTIONS);
  const reads =
    'empty' in stream ? [] : stream.filter((one) => one.contents !== null).map((one) => plainOf(one as Parsed));
  const values: unknown[] = [];
  const places: ((path: readonly string[]) => number | null)[] = [];
  for (const read of reads) {
    if (!read.ok) return read;
    values.push(read.value);
    places.push(read.offsetOf);
  }
  return {
    ok: true,
    value: values,
    offsetOf: ([index, ...path]) => (index === undefined ? 0 : (places[Number(index)]?.(path) ?? null)),
  };
}

/** Their own test for unique keys compares every pair of keys; `badKey` below needs one pass. */
const OPTIONS = { uniqueKeys: false, prettyErrors: false, logLevel: 'error', strict: true } as const;

function plainOf(document: Parsed): YamlRead {
  const flaw = document.errors[0] ?? document.warnings[0];
  if (flaw !== undefined) return failed(flaw.pos[0], flaw.code.toLowerCase(), flaw.message);
  if (document.contents === null) return failed(0, 'empty', 'there are only comments');
  const refused = outdated(document) ?? unusual(document);
  if (refused !== null) return { ok: false, fault: refused };
  const value = toPlain(document);
  if (value === null) return { ok: false, fault: tooManyAliases(0) };
  return { ok: true, value: value.plain, offsetOf: (path) => offsetOf(document, path) };
}

function excess(text: string): YamlFault | null {
  let lines = 1;
  let separators = 0;
  let depth = 0;
  // Brackets within quotes count too: PromQL closes what it opens, so real plans stay near 0.
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\n') lines += 1;
    else if (char === ',' || char === ':') separators += 1;
    else if (char === '[' || char === '{') depth += 1;
    else if (char === ']' || char === '}') depth = Math.max(0, depth - 1);
    if (lines > MAX_LINES) return { offset: at, code: 'too_many_lines', message: `wanted at most ${MAX_LINES} lines` };
    if (separators > MAX_SEPARATORS)
      return { offset: at, code: 'too_many_values', message: `wanted at most ${MAX_SEPARATORS} commas and colons` };
    if (depth > MAX_DEPTH)
      return { offset: at, code: 'too_deep', message: `wanted at most ${MAX_DEPTH} open brackets` };
  }
  const chain = new RegExp(`^[ \\t]*(?:[-?:&!*][^ \\t\\n]{0,80}[ \\t]+){${MAX_DEPTH}}`, 'm').exec(text);
  return chain === null
    ? null
    : { offset: chain.index, code: 'too_deep', message: `wanted at most ${MAX_DEPTH} indicators on one line` };
}

type Parsed = Document.Parsed<ParsedNode>;

/** Under 1.1 `no` means false and `1:30` means 90: what people wrote would change its meaning. */
const outdated = (document: Parsed): YamlFault | null =>
  document.directives.yaml.version === '1.2'
    ? null
    : {
        offset: 0,
        code: 'yaml_version',
        message: `wanted YAML 1.2; found a directive for ${document.directives.yaml.version}`,
      };

/**
 * What would not survive the way into JSON: other tags, keys that are not text, keys that are there twice. And aliases:
 * few, and of anchors that came before.
 */
function unusual(document: Parsed): YamlFault | null {
  let found: YamlFault | null = null;
  let aliases = 0;
  const anchors = new Set<string>();
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) {
        aliases += 1;
        found = aliases > MAX_ALIASES ? tooManyAliases(startOf(node)) : unknownAlias(node, anchors);
      } else {
        if (node.anchor !== undefined) anchors.add(node.anchor);
        found = foreignTag(node) ?? (isMap(node) ? badKey(node.items) : null);
      }
      return found === null ? undefined : visit.BREAK;
    },
  });
  return found;
}

const tooManyAliases = (offset: number): YamlFault => ({
  offset,
  code: 'alias_bomb',
  message: `wanted at most ${MAX_ALIASES} resolved aliases; write the values out`,
});

const unknownAlias = (alias: Alias, anchors: ReadonlySet<string>): YamlFault | null =>
  anchors.has(alias.source)
    ? null
    : {
        offset: startOf(alias),
        code: 'unknown_alias',
        message: `no anchor named ${JSON.stringify(alias.source)} comes before`,
      };

const startOf = (node: unknown): number => (isNode(node) ? (node.range?.[0] ?? 0) : 0);

function foreignTag(node: Scalar | YAMLMap | YAMLSeq): YamlFault | null {
  if (node.tag === undefined || PLAIN_TAGS.has(node.tag)) return null;
  return {
    offset: startOf(node),
    code: 'tag',
    message: `the tag ${JSON.stringify(node.tag)} is not plain data; remove it`,
  };
}

function badKey(items: readonly Pair[]): YamlFault | null {
  const keys = new Set<string>();
  for (const { key } of items) {
    if (!isScalar(key))
      return {
        offset: startOf(key),
        code: 'complex_key',
        message: 'wanted a plain key; found a list, a mapping or an alias',
      };
    const name = String(key.value ?? '');
    if (keys.has(name))
      return {
        offset: startOf(key),
        code: 'duplicate_key',
        message: `the key ${JSON.stringify(name)} is there twice; keep one`,
      };
    keys.add(name);
  }
  return null;
}

const PLAIN_TAGS: ReadonlySet<string> = new Set(
  ['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map((name) => `tag:yaml.org,2002:${name}`),
);

/** null: too many aliases. (The parser throws a ReferenceError for that and for nothing else.) */
function toPlain(document: Parsed): { readonly plain: unknown } | null {
  try {
    return { plain: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch (error) {
    if (error instanceof ReferenceError) return null;
    throw error;
  }
}

function offsetOf(document: Parsed, path: readonly string[]): number | null {
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) ? (node.range?.[0] ?? null) : null;
}
