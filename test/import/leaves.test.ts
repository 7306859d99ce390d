import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { importAll } from '../../src/app/import/families.ts';
import type { Note, SourceDocument } from '../../src/app/import/note.ts';
import { isRecord, isWithin, pointersIn } from '../../src/app/import/pointer.ts';
import { documentsOf, imported, parser, SAMPLES, sample } from './support.ts';

const IDENTITY = ['/apiVersion', '/kind'];
const READ = /^(?:Canary|MetricTemplate|Rollout|AnalysisTemplate|ClusterAnalysisTemplate)$/;

/** Leaves of the documents of one import that no note speaks for. */
function unspoken(documents: readonly SourceDocument[], notes: readonly Note[]): string[] {
  return documents.flatMap(({ value }, at) => {
    if (!isRecord(value) || !READ.test(String(value['kind']))) return [];
    const spoken = notes.filter(({ source }) => source.document === at && source.pointer !== '');
    return [...pointersIn(value)]
      .filter(({ pointer, leaf }) => leaf && !IDENTITY.includes(pointer))
      .filter(({ pointer }) => !spoken.some(({ source }) => isWithin(pointer, source.pointer)))
      .map(({ pointer }) => `${at}${pointer}`);
  });
}

describe.each(SAMPLES)('%s', (name) => {
  const documents = documentsOf(sample(name));
  const { plan, notes } = imported(sample(name));

  it('has a note on every field, with its line', () => {
    expect(unspoken(documents, notes)).toEqual([]);
    for (const { source } of notes) expect(source.line, source.pointer).toBeGreaterThan(0);
  });

  it('is made of fields that the import knows, each by a note of its own and not of the whole', () => {
    expect(notes.filter(({ message }) => message.startsWith('not known'))).toEqual([]);
    const main = documents.findIndex(
      ({ value }) => isRecord(value) && /^(?:Canary|Rollout)$/.test(String(value['kind'])),
    );
    expect(notes.filter(({ source }) => source.document === main && source.pointer === '/spec')).toEqual([]);
  });

  it('becomes a plan that Sluice takes, or none', () => {
    if (plan === null) expect(notes.some(({ blocks }) => blocks)).toBe(true);
    else expect(parser.parse(plan)).toMatchObject({ ok: true });
  });
});

/** Replaces what stands at one place, or adds a field that nobody knows. */
function mutated(value: unknown, choose: (most: number) => number): unknown {
  const copy = structuredClone(value);
  const places = [...pointersIn(copy)].filter(({ pointer }) => pointer !== '' && !IDENTITY.includes(pointer));
  const { pointer } = places[choose(places.length - 1)] ?? { pointer: '' };
  const keys = pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop() ?? '';
  const parent = keys.reduce((node, key) => (node as Record<string, unknown>)[key], copy) as Record<string, unknown>;
  const others = [
    null,
    0,
    -3,
    250,
    '',
    '0',
    '100',
    'x'.repeat(300),
    true,
    [],
    {},
    [null],
    { odd: 'a"b{{c' },
    'NaN',
    '5m',
  ];
  parent[last] = others[choose(others.length - 1)];
  if (choose(3) === 0 && !Array.isArray(parent)) parent['odd/~field'] = 'odd';
  return copy;
}

describe('whatever documents hold', () => {
  it('every field has a note, and nothing throws', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SAMPLES),
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 4 }),
        (name, chance, times) => {
          const choose = (most: number): number => Number(chance.next().value) % (most + 1);
          let values = documentsOf(sample(name)).map(({ value }) => value);
          for (let n = 0; n < times; n += 1) {
            const at = choose(values.length - 1);
            values = values.map((value, index) => (index === at ? mutated(value, choose) : value));
          }
          const documents = values.map((value) => ({ value, lineOf: () => null }));
          for (const { imported: found } of importAll(documents)) {
            expect(
              unspoken(
                documents.filter(({ value }) => isOwn(value)),
                renumbered(found.notes, documents),
              ),
            ).toEqual([]);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Not of the other family, and none of its rivals: there is one of each main kind in a sample. */
const isOwn = (value: unknown): boolean => isRecord(value) && READ.test(String(value['kind']));

function renumbered(notes: readonly Note[], documents: readonly SourceDocument[]): readonly Note[] {
  const own = documents.flatMap(({ value }, at) => (isOwn(value) ? [at] : []));
  return notes.map((note) => ({ ...note, source: { ...note.source, document: own.indexOf(note.source.document) } }));
}
