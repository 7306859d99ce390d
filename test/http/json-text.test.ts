import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOf } from '../../src/http/document.ts';
import { readJson } from '../../src/http/json-text.ts';

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
};

describe('the JSON reader', () => {
  it('accepts what JSON.parse gives back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2, '\t'), (value, space) => {
        expect(readJson(JSON.stringify(value, null, space))).toBeNull();
      }),
    );
  });

  it('agrees with JSON.parse on damaged JSON, duplicate keys aside', () => {
    const damaged = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom(
          '',
          '"',
          '\\',
          ',',
          ':',
          '{',
          '}',
          '[',
          ']',
          '0',
          '-',
          '.',
          'e',
          ' ',
          '\n',
          '\u0001',
          'u',
          'null',
          '1.',
          '\u007f',
        ),
      )
      .map(([text, at, put]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + put + text.slice(place + (at % 2));
      });
    fc.assert(
      fc.property(damaged, (text) => {
        const fault = readJson(text);
        if (fault?.code === 'duplicate_key') return;
        expect(fault === null).toBe(parses(text));
      }),
      { numRuns: 5_000 },
    );
  });

  it('finds every value where it stands', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        const places: [string, number][] = [];
        readJson(text, (pointer, offset) => places.push([pointer, offset]));
        for (const [pointer, offset] of places) {
          const path = pointer
            .split('/')
            .slice(1)
            .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
          const there = path.reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], value);
          expect(text.startsWith(JSON.stringify(there), offset)).toBe(true);
        }
      }),
    );
  });

  it.each([
    ['an unterminated text of 256 kB', `"${'a\\n'.repeat(80_000)}`],
    ['brackets of 256 kB', '['.repeat(250_000)],
    ['keys of 256 kB', `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":1`).join(',')}}`],
  ])('takes no time to speak of over %s', (_, text) => {
    const started = performance.now();
    readJson(text);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('the hash of a document', () => {
  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        expect(hashOf(Object.fromEntries(Object.entries(value).reverse()))).toBe(hashOf(value));
      }),
    );
  });

  it('depends on everything else', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b));
        const same = (x: unknown): string =>
          JSON.stringify(x, (_, v) =>
            v !== null && typeof v === 'object' && !Array.isArray(v)
              ? Object.fromEntries(Object.entries(v).sort(([p], [q]) => (p < q ? -1 : 1)))
              : v,
          );
        if (same(a) !== same(b)) expect(hashOf(a)).not.toBe(hashOf(b));
      }),
    );
  });
});
