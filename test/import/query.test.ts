import { describe, expect, it } from 'vitest';
import { goDuration, written } from '../../src/app/import/durations.ts';
import { translate } from '../../src/app/import/query.ts';
import { parseDuration } from '../../src/app/units.ts';

const meaning = (name: string) =>
  ({
    target: { literal: 'carts', placeholder: 'canary.deployment' },
    interval: { literal: '1m', placeholder: 'window', anywhere: true as const },
    ingress: { literal: 'front', placeholder: null },
  })[name] ?? null;

describe('a query', () => {
  it.each([
    ['up{a="{{ target }}"}[{{interval}}]', 'up{a="{{canary.deployment}}"}[{{window}}]'],
    ["up{a='x-{{- target -}}'}", "up{a='x-{{canary.deployment}}'}"],
    ['up{a="{{ ingress }}"}', 'up{a="front"}'],
    ['{{ target }}_total', 'carts_total'],
    ['up{a=`{{ target }}`}', 'up{a=`carts`}'],
    ['up{a="\\"", b="{{ target }}"}', 'up{a="\\"", b="{{canary.deployment}}"}'],
    ['up # "\n{a="{{ target }}"}', 'up # "\n{a="{{canary.deployment}}"}'],
  ])('%s becomes %s', (query, wanted) => {
    expect(translate(query, meaning)).toEqual({ ok: true, query: wanted });
  });

  it.each([
    ['up{a="{{ nothing }}"}', '{{ nothing }}'],
    ['up{a="{{ if target }}b{{ end }}"}', '{{ if target }}'],
    ['up{a="{{"}', 'no simple placeholder'],
    ['x'.repeat(4001), '4001 characters'],
  ])('%# is refused with what is wrong', (query, why) => {
    expect(translate(query, meaning)).toMatchObject({ ok: false, why: expect.stringContaining(why) });
  });
});

describe('durations', () => {
  it.each([
    ['90s', 90_000, '1m30s'],
    ['1.5h', 5_400_000, '1h30m'],
    ['1m0.5s', 60_500, '1m500ms'],
    ['250us', 0, '0s'],
    ['48h', 172_800_000, '48h'],
  ])('%s of Go is %i ms, written %s', (text, ms, again) => {
    expect(goDuration(text)).toBe(ms);
    expect(written(ms)).toBe(again);
    expect(parseDuration(again)).toBe(ms);
  });

  it.each(['', '5', '1d', 'five minutes', '-1m'])('%j is none', (text) => {
    expect(goDuration(text)).toBeNull();
  });
});
