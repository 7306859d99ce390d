import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { planDocument } from '../support/usecases-fake.ts';
import { harness, isProblem, TOKENS } from './harness.ts';

const JSON_TYPE = 'application/json';
const YAML_TYPE = 'application/yaml';
const plan = JSON.stringify(planDocument());

/** Sends bytes exactly as given. */
const post = async (
  base: string,
  body: Uint8Array | string | undefined,
  headers: Record<string, string>,
): Promise<{
  status: number;
  body: { code: string; errors: { pointer: string; code: string; line: number; column: number }[] };
  text: string;
}> => {
  const response = await fetch(`${base}/rollouts`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${TOKENS.admin}`, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  });
  const text = await response.text();
  isProblemUnlessAccepted(response, text);
  return { status: response.status, body: JSON.parse(text), text };
};

const isProblemUnlessAccepted = (response: Response, text: string): void => {
  if (response.status === 202) return;
  isProblem({
    status: response.status,
    text,
    body: JSON.parse(text),
    headers: Object.fromEntries(response.headers),
  } as never);
};

describe('text that cannot be parsed', () => {
  it.each([
    ['an object that is not closed', JSON_TYPE, '{"steps": [', 'syntax', 1, 12],
    ['a trailing comma', JSON_TYPE, '{\n  "a": 1,\n}', 'syntax', 3, 1],
    ['a comment', JSON_TYPE, '{} // no', 'syntax', 1, 4],
    ['single quotes', JSON_TYPE, "{'a': 1}", 'syntax', 1, 2],
    ['NaN', JSON_TYPE, '{"a": NaN}', 'syntax', 1, 7],
    ['Infinity', JSON_TYPE, '{"a": -Infinity}', 'syntax', 1, 7],
    ['YAML sent as JSON', JSON_TYPE, 'steps: []', 'syntax', 1, 1],
    ['two documents', JSON_TYPE, '{}{}', 'syntax', 1, 3],
    ['a key that is there twice', JSON_TYPE, '{"a": 1,\n "b": {"x": 1, "x": 2}}', 'duplicate_key', 2, 16],
    ['a key that is there twice by an escape', JSON_TYPE, '{"a": 1, "\\u0061": 2}', 'duplicate_key', 1, 10],
    ['white space only', JSON_TYPE, ' \n ', 'empty', 1, 1],
    ['a key that is there twice', YAML_TYPE, 'steps: []\nsteps: []\n', 'duplicate_key', 2, 1],
    ['a number and a text as the same key', YAML_TYPE, 'a: {1: x, "1": y}\n', 'duplicate_key', 1, 11],
    ['a tab as indentation', YAML_TYPE, 'target:\n\tcluster: x\n', 'tab_as_indent', 2, 1],
    ['two documents', YAML_TYPE, 'a: 1\n---\nb: 2\n', 'multiple_docs', 2, 1],
    ['a bracket that is not closed', YAML_TYPE, 'steps: [\n', 'bad_indent', 2, 1],
    ['an alias without an anchor', YAML_TYPE, 'a: *gone\n', 'unknown_alias', 1, 4],
    ['a tag of a language', YAML_TYPE, 'a: !!js/function "x"\n', 'tag_resolve_failed', 1, 4],
    ['a binary tag', YAML_TYPE, 'a: !!binary aGVsbG8=\n', 'tag', 1, 13],
    ['a set', YAML_TYPE, 'a: !!set {x, y}\n', 'tag', 1, 10],
    ['a list as a key', YAML_TYPE, '? [a, b]\n: 1\n', 'complex_key', 1, 3],
    ['the older YAML, where no is false', YAML_TYPE, '%YAML 1.1\n---\na: no\n', 'yaml_version', 1, 1],
    ['comments only', YAML_TYPE, '# nothing\n', 'empty', 1, 1],
    ['aliases without end', YAML_TYPE, `a: &a x\nb:\n${'- *a\n'.repeat(4_000)}`, 'alias_bomb', 53, 3],
    [
      'a bomb of aliases',
      YAML_TYPE,
      'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c]\n',
      'alias_bomb',
      1,
      1,
    ],
    ['brackets without end', YAML_TYPE, '['.repeat(100_000), 'too_deep', 1, 65],
    ['dashes without end', YAML_TYPE, '- '.repeat(100_000), 'too_deep', 1, 1],
    [
      'lines without end',
      YAML_TYPE,
      Array.from({ length: 6_000 }, (_, i) => `k${i}: 1`).join('\n'),
      'too_many_lines',
      5_000,
      expect.any(Number),
    ],
    ['values without end', YAML_TYPE, `[${'1,'.repeat(100_000)}1]`, 'too_many_values', 1, expect.any(Number)],
  ])('%s (%s): 400 with the place', async (_, type, text, code, line, column) => {
    const h = await harness();
    const started = performance.now();
    const response = await h.call('post', '/rollouts', { body: text, type });
    expect(response.status).toBe(400);
    expect(response.body.code).toBe('malformed_body');
    expect(response.body.errors).toEqual([{ pointer: '', code, detail: expect.any(String), line, column }]);
    // The bound is generous for a busy machine; without the limits some of these take many seconds.
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it.each([
    ['JSON', JSON_TYPE, '['.repeat(100) + ']'.repeat(100)],
    ['YAML', YAML_TYPE, '['.repeat(40) + ']'.repeat(40)],
    ['a circle of aliases', YAML_TYPE, 'a: &a [*a]\n'],
  ])('nesting without end in %s: 422', async (_, type, text) => {
    const h = await harness();
    const response = await h.call('post', '/rollouts', { body: text, type });
    expect(response.status).toBe(422);
    expect(response.body.errors).toEqual([expect.objectContaining({ code: 'too_deep' })]);
  });

  it.each([
    ['a NUL', '{"labels": {"a": "x\\u0000y"}}', '/labels/a'],
    ['half a surrogate pair', '{"labels": {"a": "\\ud800"}}', '/labels/a'],
    ['a NUL in a key', '{"labels": {"\\u0000": "x"}}', '/labels'],
  ])('text that the database cannot keep, %s: 422', async (_, text, pointer) => {
    const h = await harness();
    const response = await h.call('post', '/rollouts', { body: text, type: JSON_TYPE });
    expect(response.status).toBe(422);
    expect(response.body.errors).toEqual([expect.objectContaining({ pointer, code: 'not_text' })]);
  });

  it.each([
    ['a text', '"plan"'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a number', '7'],
  ])('%s is no plan: 422 at the whole body', async (_, text) => {
    const h = await harness();
    const response = await h.call('post', '/rollouts', { body: text, type: JSON_TYPE });
    expect(response.status).toBe(422);
    expect(response.body).toMatchObject({ code: 'invalid_plan', errors: [{ pointer: '' }] });
  });

  it('a few aliases are fine', async () => {
    const h = await harness();
    const text = stringify(planDocument())
      .replace('host: myapp', 'host: &host myapp')
      .replaceAll(/host: myapp$/gm, 'host: *host');
    expect(text).toContain('*host');
    expect((await h.call('post', '/rollouts', { body: text, type: YAML_TYPE })).status).toBe(202);
  });
});

describe('bytes', () => {
  it('no body at all', async () => {
    const h = await harness();
    const { status, body } = await post(h.base, undefined, { 'Content-Type': JSON_TYPE });
    expect([status, body.code]).toEqual([400, 'malformed_body']);
    expect(body.errors[0]).toMatchObject({ pointer: '', code: 'empty' });
  });

  it('not UTF-8', async () => {
    const h = await harness();
    const { status, body } = await post(h.base, Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d), { 'Content-Type': JSON_TYPE });
    expect([status, body.code, body.errors[0]?.code]).toEqual([400, 'malformed_body', 'encoding']);
  });

  it('a byte order mark is no harm', async () => {
    const h = await harness();
    expect((await post(h.base, `\ufeff${plan}`, { 'Content-Type': JSON_TYPE })).status).toBe(202);
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('%s is understood', async (encoding, compress) => {
    const h = await harness();
    expect(
      (await post(h.base, compress(plan), { 'Content-Type': JSON_TYPE, 'Content-Encoding': encoding })).status,
    ).toBe(202);
  });

  it('says gzip but is not', async () => {
    const h = await harness();
    const { status, body } = await post(h.base, plan, { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'gzip' });
    expect([status, body.code, body.errors[0]?.code]).toEqual([400, 'malformed_body', 'compression']);
  });

  it('is cut in the middle of the compressed data', async () => {
    const h = await harness();
    const { status, body } = await post(h.base, gzipSync(plan).subarray(0, 60), {
      'Content-Type': JSON_TYPE,
      'Content-Encoding': 'gzip',
    });
    expect([status, body.errors[0]?.code]).toEqual([400, 'compression']);
  });

  it('an unknown compression', async () => {
    const h = await harness();
    const { status, body } = await post(h.base, plan, { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'lzma' });
    expect([status, body.code]).toEqual([415, 'unsupported_encoding']);
  });

  it('more than 256 kB', async () => {
    const h = await harness();
    const { status, body } = await post(h.base, JSON.stringify({ a: 'x'.repeat(256 * 1024) }), {
      'Content-Type': JSON_TYPE,
    });
    expect([status, body.code]).toEqual([413, 'body_too_large']);
  });

  it('a small body that grows to more than 256 kB', async () => {
    const h = await harness();
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024, ' '));
    expect(bomb.length).toBeLessThan(100 * 1024);
    const { status, body } = await post(h.base, bomb, { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'gzip' });
    expect([status, body.code]).toEqual([413, 'body_too_large']);
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/yaml; charset=latin1',
    'nonsense',
    'constructor',
    'application/jsonp',
  ])('415 for Content-Type: %s', async (type) => {
    const h = await harness();
    const { status, body } = await post(h.base, plan, { 'Content-Type': type });
    expect([status, body.code]).toEqual([415, 'unsupported_media_type']);
  });

  it('415 for no Content-Type', async () => {
    const h = await harness();
    const { status, body } = await post(h.base, new TextEncoder().encode(plan), {});
    expect([status, body.code]).toEqual([415, 'unsupported_media_type']);
  });

  it('is not read at all for a caller who is not known', async () => {
    const h = await harness();
    const response = await h.call('post', '/rollouts', { as: null, body: '{"a":', type: JSON_TYPE });
    expect(response.status).toBe(401);
  });
});
