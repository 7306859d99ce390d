/** What a check's finding is worth: the table of the installation's policy and the plan's wish. */
import { describe, expect, it } from 'vitest';
import { isRecorded, refuses, severityOf, weighed } from '../../src/app/severity.ts';

describe('the severity of a check', () => {
  it.each([
    // installation, plan, result
    [undefined, undefined, null],
    [undefined, 'ignore', 'ignore'],
    [undefined, 'fail', 'fail'],
    ['warn', undefined, 'warn'],
    ['warn', 'fail', 'fail'],
    ['warn', 'ignore', 'warn'],
    ['fail', 'warn', 'fail'],
    ['ignore', 'warn', 'warn'],
  ] as const)('with policy %s and plan %s is %s: a plan is stricter or has no say', (policy, plan, wanted) => {
    const installation = policy === undefined ? {} : { 'a.b': policy };
    const wish = plan === undefined ? {} : { 'a.b': plan };
    expect(severityOf('a.b', installation, wish)).toBe(wanted);
    expect(severityOf('other.check', installation, wish)).toBeNull();
  });
});

describe('a finding', () => {
  it.each([
    // level, severity, level then, refuses, recorded
    ['pass', 'fail', 'pass', false, false],
    ['pass', 'ignore', 'pass', false, false],
    ['warn', null, 'warn', false, true],
    ['warn', 'fail', 'fail', true, false],
    ['warn', 'ignore', 'warn', false, false],
    ['fail', null, 'fail', true, false],
    ['fail', 'warn', 'warn', false, true],
    ['fail', 'ignore', 'fail', false, false],
    ['unknown', 'fail', 'unknown', false, true],
    ['unknown', 'warn', 'unknown', false, true],
    ['unknown', 'ignore', 'unknown', false, false],
  ] as const)('that is %s with severity %s counts as %s', (level, severity, then, refusing, recorded) => {
    const found = weighed({ check: 'a.b', level, message: 'm' }, severity);
    expect([found.level, refuses(found), isRecorded(found)]).toEqual([then, refusing, recorded]);
  });

  it('that is ignored says so, and one that passed does not', () => {
    expect(weighed({ check: 'a.b', level: 'fail', message: 'm' }, 'ignore').ignored).toBe(true);
    expect(weighed({ check: 'a.b', level: 'pass', message: 'm' }, 'ignore').ignored).toBeUndefined();
  });
});
