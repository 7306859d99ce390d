import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../bench/arguments.ts';

const parse = (...args: string[]) => parseArguments(args);

describe("the benchmark's command line", () => {
  it('runs everything on both queues by default, and less of it for a look', () => {
    expect(parse()).toMatchObject({
      arguments: { only: ['capacity', 'reaction', 'api'], queues: ['redis', 'postgres'], seconds: 30, node: [] },
    });
    expect(parse('--quick')).toMatchObject({ arguments: { queues: ['redis'], rollouts: [500], seconds: 15 } });
    expect(parse('--help', '--quick')).toEqual({ kind: 'help' });
  });

  it('takes every flag', () => {
    const flags = ['--only', 'capacity', '--queue', 'postgres', '--rollouts', '1,20', '--seconds', '5', '--json'];
    const more = ['--concurrency', '9', '--query-delay', '0', '--node=--a --b', '--profile', 'p', '--evidence'];
    expect(parse(...flags, ...more)).toMatchObject({
      arguments: {
        only: ['capacity'],
        queues: ['postgres'],
        rollouts: [1, 20],
        seconds: 5,
        concurrency: 9,
        queryDelay: 0,
        node: ['--a', '--b', '--cpu-prof', '--cpu-prof-dir=p'],
        evidence: true,
        json: true,
      },
    });
  });

  it.each([
    [['--seconds', 'abc'], /--seconds: wanted a whole number from 1 to 3600, found "abc"/],
    [['--rollouts', '500,,9'], /--rollouts: wanted .*, found ""/],
    [['--concurrency', '0'], /--concurrency: wanted .* found "0"/],
    [['--query-delay=-1'], /--query-delay: wanted .* found "-1"/],
    [['--only', 'speed'], /unknown benchmark "speed"; known: capacity, reaction, api/],
    [['--queue', 'kafka'], /unknown queue "kafka"; known: redis, postgres/],
    [['--fast'], /--fast/],
  ])('refuses %o in words', (args, words) => {
    expect(parse(...args)).toEqual({ kind: 'wrong', message: expect.stringMatching(words) });
  });
});
