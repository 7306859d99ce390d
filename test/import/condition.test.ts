import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCondition } from '../../src/app/import/condition.ts';
import { limitsOf } from '../../src/app/import/limits.ts';
import type { Ranges } from '../../src/app/import/ranges.ts';

const holds = (numbers: Ranges, value: number): boolean =>
  numbers.some(
    ({ low, high, withLow, withHigh }) =>
      (value > low || (value === low && withLow)) && (value < high || (value === high && withHigh)),
  );

describe('a condition becomes limits', () => {
  it.each<[string, object | null]>([
    ['result[0] >= 0.95', { min: 0.95 }],
    ['result <= 0.01', { max: 0.01 }],
    ['0.95 <= result[0]', { min: 0.95 }],
    ['result[0] >= 10 && result[0] < 20', { min: 10, max: 20 }],
    ['result[0] >= 10 and not (result[0] >= 20)', { min: 10, max: 20 }],
    ['len(result) == 0 || result[0] >= 0.95', { min: 0.95 }],
    ['len(result) > 0 && result[0] >= 0.95', { min: 0.95 }],
    ['isNaN(result[0]) || result[0] < 5', { max: 5 }],
    ['isNaN(result) or isInf(result) or result < 5', { max: 5 }],
    ['default(result, 0) < 0.05', { max: 0.05 }],
    ['all(result, # < 1000)', { max: 1000 }],
    ['any(result, {# >= 3})', { min: 3 }],
    ['max(result) < 0.05', { max: 0.05 }],
    ['(result[0] * 100) >= 95', { min: 0.95 }],
    ['100 - result[0] * 100 <= 1', { min: 0.99 }],
    ['-result[0] > -3', { max: 3 }],
    ['result[0] == 1', { min: 1, max: 1 }],
    ['result[0] / 2 + 1 <= 0.1 + 0.2 + 1', { max: 0.6 }],
    ['true', null],
    ['result[0] < 5 || result[0] >= 5', null],
  ])('%s', (text, limits) => {
    expect(limitsOf(text, undefined)).toMatchObject({ ok: true, limits });
  });

  it.each([
    ['result.ok', 'not a comparison'],
    ['result.rate >= 0.9', 'the answer is a number'],
    ['result[1] > 3', 'only its one value'],
    ["result == 'ok'", 'no number'],
    ['results[0] >= 90', 'results is not known'],
    ['len(result[0].Values) >= 5', 'len()'],
    ['asInt(result) > 3', 'asInt() is not known'],
    ['result[0] * result[0] > 1', 'with itself'],
    ['1 / result[0] > 1', 'divides by'],
    ['result[0] > 5 || result[0] < 1', 'not all between'],
    ['result[0] > 5 && result[0] < 1', 'no number could pass'],
    ['result[0] >', 'wanted a value'],
    ['result[0] > 1 )', 'wanted end'],
    ['result[0] ~ 1', 'is not read here'],
    ['1 + 1', 'a sum is no condition'],
  ])('%s is refused with the reason', (text, why) => {
    expect(limitsOf(text, undefined)).toMatchObject({ ok: false, why: expect.stringContaining(why) });
  });

  it('of failure, they are those of what does not fail', () => {
    expect(limitsOf(undefined, 'result[0] > 0.2')).toMatchObject({ ok: true, limits: { max: 0.2 }, differences: [] });
    expect(limitsOf(undefined, 'result[0] >= 0.2')).toMatchObject({
      limits: { max: 0.2 },
      differences: ['a value of exactly 0.2 passes here, and does not there'],
    });
  });

  it('of both, they are those of success, and say what is inconclusive there', () => {
    const both = limitsOf('result[0] >= 0.99', 'result[0] < 0.9');
    expect(both).toMatchObject({ limits: { min: 0.99 }, differences: [expect.stringContaining('inconclusive there')] });
    expect(limitsOf('result[0] >= 0.9', 'result[0] < 0.9')).toMatchObject({ limits: { min: 0.9 }, differences: [] });
  });

  it('says where an answer without a number passes there', () => {
    expect(limitsOf('len(result) == 0 || result[0] >= 0.95', undefined)).toMatchObject({
      differences: [expect.stringContaining('without a number passes there')],
    });
    expect(limitsOf('result[0] >= 0.95', undefined)).toMatchObject({ differences: [] });
  });
});

interface Case {
  readonly text: string;
  readonly value: (x: number) => boolean;
}

/** Conditions with their meaning, written beside each other. */
const leaf: fc.Arbitrary<Case> = fc
  .record({
    sign: fc.constantFrom('<', '<=', '>', '>=', '==', '!='),
    limit: fc.integer({ min: -5, max: 5 }),
    times: fc.constantFrom(-2, -1, 1, 2),
    plus: fc.integer({ min: -3, max: 3 }),
  })
  .map(({ sign, limit, times, plus }) => ({
    text: `result[0] * ${times} + ${plus} ${sign} ${limit}`,
    value: (x) => {
      const left = x * times + plus;
      if (sign === '<') return left < limit;
      if (sign === '<=') return left <= limit;
      if (sign === '>') return left > limit;
      if (sign === '>=') return left >= limit;
      return sign === '==' ? left === limit : left !== limit;
    },
  }));
const { condition } = fc.letrec<{ condition: Case }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.tuple(tie('condition'), tie('condition')).map(
      ([a, b]): Case => ({
        text: `(${a.text}) && (${b.text})`,
        value: (x) => a.value(x) && b.value(x),
      }),
    ),
    fc.tuple(tie('condition'), tie('condition')).map(
      ([a, b]): Case => ({
        text: `(${a.text}) or (${b.text})`,
        value: (x) => a.value(x) || b.value(x),
      }),
    ),
    tie('condition').map((a): Case => ({ text: `!(${a.text})`, value: (x) => !a.value(x) })),
  ),
}));

it('holds for the same numbers as the condition that was written', () => {
  fc.assert(
    fc.property(condition, ({ text, value }) => {
      const read = readCondition(text);
      if (!read.ok) throw new Error(read.why);
      for (let x = -12; x <= 12; x += 0.25) expect(holds(read.condition.numbers, x), `${text} at ${x}`).toBe(value(x));
    }),
  );
});
