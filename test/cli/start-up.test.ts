/** What is loaded is what a start costs: measured times differ from machine to machine, lists of packages do not. */
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { writeConfigFile } from '../../src/cli/config-file.ts';
import { configPath } from '../../src/cli/settings.ts';
import { TOKENS } from '../http/harness.ts';
import { sample } from '../import/support.ts';
import { planDocument } from '../support/usecases-fake.ts';
import { environment, inHome, MAIN, sluice, started, world } from './support.ts';

const spy = inHome(
  'spy.mjs',
  `import { registerHooks } from 'node:module';
   const packages = new Set();
   registerHooks({ resolve(specifier, context, next) {
     const found = next(specifier, context);
     const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(found.url)?.[1];
     if (name !== undefined) packages.add(name);
     return found;
   } });
   process.on('exit', () => {
     if (process.moduleLoadList.includes('NativeModule internal/deps/undici/undici')) packages.add('undici');
     process.stderr.write('loaded: ' + JSON.stringify([...packages].sort()));
   });`,
);

const loaded = async (url: string | null, args: readonly string[], env = environment(url)): Promise<unknown> => {
  const command = ['--import', pathToFileURL(spy).href, MAIN, ...args];
  const { stderr } = await promisify(execFile)(process.execPath, command, { env });
  return JSON.parse(stderr.split('loaded: ')[1] ?? 'null');
};
const plan = inHome('plan.yaml', stringify(planDocument()));
const canary = inHome('canary.yaml', sample('flagger-linkerd-list.yaml'));

describe('the start', () => {
  it.each([
    [['--version'], []],
    [['help'], []],
    [['list'], []],
    [['get', 'ro_1'], []],
    [['promote', 'ro_1'], []],
    [['history', 'ro_1', '-o', 'json'], []],
    [['replay', 'ro_1'], []],
    [['get', 'ro_1', '-o', 'yaml'], ['yaml']],
    [['plan', 'dry-run', plan], ['yaml']],
    [
      ['plan', 'lint', plan],
      ['yaml', 'zod'],
    ],
    [
      ['import', '--lenient', '-f', canary],
      ['yaml', 'zod'],
    ],
  ])('of %j loads no package but %j', async (args, packages) => {
    const w = await world();
    await w.fake.toFirstStep(await started(w.fake));
    expect(await loaded(w.url, args)).toEqual(packages);
  });

  it('with the server out of the file that login wrote needs no reader of YAML', async () => {
    const w = await world();
    const env = { XDG_CONFIG_HOME: dirname(plan), ...environment(null, { as: null }) };
    writeConfigFile(configPath(env), { current: 'a', contexts: { a: { url: w.url, token: TOKENS.viewer } } });
    expect(await loaded(null, ['list'], env)).toEqual([]);
  });
});

describe('the roles of the service', () => {
  it('are run by the same command, with their own options and help', async () => {
    const [help, token, role] = await Promise.all([
      sluice(null, ['api', '--help'], { as: null }),
      sluice(null, ['token', 'create', '--role', 'viewer'], {
        as: null,
        env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' },
      }),
      sluice(null, ['worker'], { as: null, env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' } }),
    ]);
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('DATABASE_URL')]);
    expect([token.code, token.stderr]).toEqual([2, expect.stringContaining('wanted --name')]);
    expect([role.code, role.stderr]).toEqual([2, expect.stringContaining('the configuration is not complete')]);
  });
});
