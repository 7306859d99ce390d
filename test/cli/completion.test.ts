import { execFile, execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Ids } from '../../src/cli/command.ts';
import { offers } from '../../src/cli/commands/complete.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { SHELLS } from '../../src/cli/completion.ts';
import { planFor } from '../support/usecases-fake.ts';
import { environment, inHome, MAIN, sluice, started, tell, world } from './support.ts';

const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
/** `sluice` as a shell finds it. */
const program = inHome('sluice', `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
chmodSync(program, 0o755);

const CHECKS = { bash: ['bash', '-n'], zsh: ['zsh', '-n'], fish: ['fish', '--no-execute'] } as const;

/** What each shell offers for a line, through its own script. */
const ASKED = {
  bash: (script: string, words: readonly string[]) => [
    'bash',
    '--norc',
    '-c',
    `source '${script}'; COMP_WORDS=(${words.map((w) => `'${w}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`,
  ],
  zsh: (script: string, words: readonly string[]) => [
    'zsh',
    '-f',
    '-c',
    // The completion system wants a line editor; its two ends are all that is replaced.
    `compdef() { : }; _files() { : }; _describe() { print -l -- \${described%%:*} }; source '${script}'; words=(${words.map((w) => `'${w}'`).join(' ')}); CURRENT=${words.length}; _sluice`,
  ],
  fish: (script: string, words: readonly string[]) => [
    'fish',
    '--no-config',
    '-c',
    `source '${script}'; complete -C '${words.join(' ')}' | string split -f1 \\t`,
  ],
} as const;

describe.each(Object.keys(SHELLS) as (keyof typeof SHELLS)[])('completion of %s', (shell) => {
  const script = inHome(`completion.${shell}`, SHELLS[shell]);

  it('is what the command prints', async () => {
    expect((await sluice(null, ['completion', shell], { as: null })).stdout).toBe(SHELLS[shell]);
  });

  it.skipIf(!has(shell))(`is good ${shell} (skipped where ${shell} is not installed)`, () => {
    const [command, ...flags] = CHECKS[shell];
    execFileSync(command, [...flags, script], { stdio: 'pipe' });
  });

  it.skipIf(!has(shell))(
    `offers commands, options and live rollouts in ${shell} (skipped where it is not installed)`,
    async () => {
      const w = await world();
      await started(w.fake, planFor('carts'));
      await started(w.fake, planFor('orders'));
      await tell(w.fake, 'ro_1', { name: 'abort', reason: '' });
      const env = { ...environment(w.url), PATH: `${dirname(program)}:${process.env['PATH']}` };
      const offered = async (...words: string[]): Promise<string[]> => {
        const [command = '', ...args] = ASKED[shell](script, words);
        const { stdout } = await promisify(execFile)(command, args, { env });
        return stdout.split('\n').filter((line) => line !== '');
      };
      expect(await offered('sluice', 'pro')).toEqual(['promote']);
      expect(await offered('sluice', 'promote', '--f')).toEqual(['--full']);
      expect(await offered('sluice', 'promote', '')).toEqual(['ro_2']);
    },
  );
});

const ID_OF: Readonly<Record<Ids, string>> = {
  live: 'ro_1',
  ids: 'ro_1',
  'live fleets': 'fr_1',
  fleets: 'fr_2',
  'live migrations': 'mm_1',
  migrations: 'mm_2',
};

describe('what completion offers', () => {
  const sources = {
    ids: async (which: Ids) => [[ID_OF[which], which]] as const,
    contexts: async () => ['prod', 'test'],
  };
  const values = async (line: string): Promise<readonly string[] | 'files'> => {
    const found = await offers(line.split(' '), sources);
    return found === 'files' ? found : found.map(([value]) => value);
  };

  it.each([
    ['promote ', ['ro_1']],
    ['plan ', ['lint', 'dry-run', 'backtest']],
    ['plan lint ', 'files'],
    ['run plan.yaml ', []],
    ['list --output y', ['yaml']],
    ['list -o ', ['json', 'yaml', 'name']],
    ['list --output = y', ['yaml']],
    ['list --status roll', ['rolling_back', 'rolled_back']],
    ['--context prod ge', ['get']],
    ['get --context ', ['prod', 'test']],
    ['contexts t', ['test']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['get --wa', ['--watch']],
    ['promote ro_1 ', []],
    ['fleet ', ['run', 'dry-run', 'get', 'wait', 'list', 'history', 'promote', 'abort']],
    ['fleet promote ', ['fr_1']],
    ['fleet get ', ['fr_2']],
    ['fleet run ', 'files'],
    ['fleet list --status ba', ['baking']],
    ['migration ', ['run', 'get', 'wait', 'list', 'history', 'abort']],
    ['migration abort ', ['mm_1']],
    ['migration list --status g', ['guarding']],
    ['list --token-file ', 'files'],
  ] as const)('after "sluice %s" is %j', async (line, wanted) => {
    expect(await values(line)).toEqual(wanted);
  });

  it('is every command at the start', async () => {
    const found = await values('');
    for (const { name } of COMMANDS) expect(found).toContain(name.split(' ')[0]);
  });

  it('is nothing, quickly and silently, where the server is away', async () => {
    const { code, stdout, stderr } = await sluice('http://127.0.0.1:9', ['__complete', 'promote', '']);
    expect([code, stdout, stderr]).toEqual([0, '', '']);
  });
});
