/** docs/api-reference.md is what the API says of itself. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { document } from '../../scripts/api-reference/document.ts';
import { rowsOf } from '../../scripts/api-reference/schema.ts';
import { REFERENCE_FILE, referenceText } from '../../scripts/api-reference.ts';
import { PROBLEM_CODES } from '../../src/http/problem.ts';
import { harness } from '../http/harness.ts';

const page = await readFile(REFERENCE_FILE, 'utf8');
const described = await document();

it('is as the code has it: run `node scripts/api-reference.ts` when this fails', async () => {
  expect(page).toBe(await referenceText());
});

it('has every call that a server answers', async () => {
  const h = await harness();
  const served = (await h.call('get', '/openapi.json', { as: null })).body as typeof described;
  expect(Object.keys(described.paths)).toEqual(expect.arrayContaining(Object.keys(served.paths)));
  for (const [path, methods] of Object.entries(described.paths))
    for (const method of Object.keys(methods)) expect(page).toContain(`### ${method.toUpperCase()} ${path}\n`);
});

it('leads to places that are there, each of them one', () => {
  const anchors = [...page.matchAll(/^##+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
  expect(anchors).toHaveLength(new Set(anchors).size);
  for (const [, to = ''] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(to);
});

it('names a group and who may for every call', () => {
  expect(described.tags.filter(({ description }) => description === '')).toEqual([]);
  const calls = Object.values(described.paths).flatMap((methods) => Object.values(methods));
  for (const { operationId, description } of calls) expect(description, operationId).toMatch(/(Roles: |Open: )/);
});

it('names refusals by codes that there are', () => {
  const refusals = [...page.matchAll(/^\| [45]\d\d \| (.*) \| \[Problem\]/gm)].flatMap(([, codes = '']) =>
    [...codes.matchAll(/`([a-z_]+)`/g)].map(([, code]) => code),
  );
  expect(refusals.length).toBeGreaterThan(50);
  expect(refusals.filter((code) => !(PROBLEM_CODES as readonly (string | undefined)[]).includes(code))).toEqual([]);
});

it('describes each field in its own words, where several share a schema', () => {
  const rollout = rowsOf(described.components.schemas['Rollout'] ?? {}, (name) => name);
  const said = (path: string) => rollout.find((row) => row.path === path)?.description;
  expect(said('progressPercent')).toMatch(/promotion/);
  expect(said('createdAt')).toBe('');
});

it('takes a field for required only where every alternative wants it', () => {
  const schema = {
    properties: {
      target: {
        anyOf: [
          {
            type: 'object',
            properties: { mesh: { const: 'a' }, left: { type: 'string' } },
            required: ['mesh', 'left'],
          },
          { type: 'object', properties: { mesh: { const: 'b' } }, required: ['mesh'] },
        ],
      },
    },
  };
  expect(rowsOf(schema, (name) => name).map(({ path, type, required }) => [path, type, required])).toEqual([
    ['target', 'object', false],
    ['target.mesh', '`a` or `b`', true],
    ['target.left', 'string', false],
  ]);
});
