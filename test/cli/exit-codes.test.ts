import { beforeEach, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { ENDING_OF_PROBLEM, type Ending, EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { PROBLEM_CODES } from '../../src/http/problem.ts';
import { planDocument } from '../support/usecases-fake.ts';
import { begin, drive, driveBack, inHome, SHORT, sluice, started, tell, type World, world } from './support.ts';

let w: World;
beforeEach(async () => {
  w = await world();
});
const plan = inHome('plan.json', JSON.stringify(planDocument()));
const wrong = inHome('wrong.yaml', 'target: {}\nsteps: []\n');

/** What is done first, what is asked, and how it must end. */
interface Case {
  readonly name: string;
  readonly before?: () => Promise<string | undefined>;
  readonly args: (id: string) => readonly string[];
  readonly as?: 'viewer' | 'deployer' | null;
  readonly url?: string;
  readonly ending: Ending;
  /** Where it is said: a part of stderr or stdout. */
  readonly says: string;
}

const cases: readonly Case[] = [
  {
    name: 'a rollout that succeeds',
    before: async () => {
      const id = await started(w.fake, SHORT);
      await drive(w.fake, id);
      return id;
    },
    args: (id) => ['wait', id],
    ending: 'done',
    says: 'succeeded:',
  },
  {
    name: 'a rollout that is rolled back, with the sentence that tells why',
    before: async () => {
      const id = await started(w.fake);
      await driveBack(w.fake, id);
      return id;
    },
    args: (id) => ['wait', id],
    ending: 'rolled_back',
    says: 'rolled_back: Rolled back at 5 % after',
  },
  {
    name: 'a rollout that a person aborted',
    before: async () => {
      const id = await started(w.fake);
      await tell(w.fake, id, { name: 'abort', reason: 'wrong image' });
      return id;
    },
    args: (id) => ['get', id, '--watch'],
    ending: 'aborted',
    says: 'wrong image',
  },
  {
    name: 'a wait that is too short',
    before: () => started(w.fake),
    args: (id) => ['wait', id, '--timeout', '1s'],
    ending: 'timed_out',
    says: 'goes on (pending at before the first step). sluice wait ro_1',
  },
  {
    name: 'a pause that waits for a person, where it was asked for',
    before: async () => {
      const id = await started(w.fake);
      await w.fake.toFirstStep(id);
      await tell(w.fake, id, { name: 'pause', reason: 'lunch' });
      return id;
    },
    args: (id) => ['wait', id, '--exit-when-paused'],
    ending: 'paused',
    says: 'waits for a person: Paused by ana',
  },
  {
    name: 'a rollout whose stable version could not be restored',
    before: async () => {
      const id = await started(w.fake);
      await w.fake.toFirstStep(id);
      await tell(w.fake, id, { name: 'abort', reason: '' });
      await tell(w.fake, id, { name: 'give_up', reason: 'by hand' });
      return id;
    },
    args: (id) => ['wait', id],
    ending: 'stuck',
    says: 'a person is needed now',
  },
  {
    name: 'a rollback that the mesh does not take in time',
    before: async () => {
      const id = await started(w.fake);
      await w.fake.toFirstStep(id);
      await tell(w.fake, id, { name: 'abort', reason: '' });
      await w.fake.tick(id, { route: { ok: false, code: 'forbidden', message: 'no right to patch' } });
      return id;
    },
    args: (id) => ['wait', id, '--timeout', '0s'],
    ending: 'stuck',
    says: 'no right to patch',
  },
  { name: 'no token', args: () => ['list'], as: null, ending: 'unauthorised', says: 'sluice login' },
  {
    name: 'a token without the role',
    before: () => started(w.fake),
    args: (id) => ['promote', id],
    as: 'deployer',
    ending: 'unauthorised',
    says: 'has the role deployer',
  },
  {
    name: 'a server that is not there',
    args: () => ['wait', 'ro_1', '--patience', '300ms'],
    url: 'http://127.0.0.1:9',
    ending: 'unreachable',
    says: 'ECONNREFUSED',
  },
  { name: 'a plan that is not valid', args: () => ['run', wrong], ending: 'refused', says: 'wrong.yaml:2:8: /steps' },
  { name: 'a plan that lint refuses', args: () => ['plan', 'lint', wrong], ending: 'refused', says: '/steps' },
  {
    name: 'a plan that the cluster refuses',
    before: async () => {
      w.fake.refuseRoute('no VirtualService of that name');
      return undefined;
    },
    args: () => ['run', plan],
    ending: 'refused',
    says: 'route: no VirtualService of that name',
  },
  {
    name: 'a dry run that finds as much',
    before: async () => {
      w.fake.refuseRoute('no VirtualService of that name');
      return undefined;
    },
    args: () => ['plan', 'dry-run', plan],
    ending: 'refused',
    says: 'would be refused',
  },
  {
    name: 'a target that is taken',
    before: () => started(w.fake),
    args: () => ['run', plan],
    ending: 'conflict',
    says: 'sluice wait ro_1',
  },
  {
    name: 'a decision about a step that is over',
    before: async () => {
      const id = await started(w.fake);
      await w.fake.toFirstStep(id);
      return id;
    },
    args: (id) => ['promote', id, '--expected-step', '1'],
    ending: 'conflict',
    says: 'has moved on: it is progressing at step 1 of 2 (canary weight 5 %), not at step 2 of 2. Nothing was done',
  },
  { name: 'a rollout that is not there', args: () => ['get', 'ro_404'], ending: 'not_found', says: 'no such rollout' },
  {
    name: 'a rollback of what was not promoted',
    before: () => started(w.fake),
    args: (id) => ['rollback', id],
    ending: 'conflict',
    says: 'abort it to go back',
  },
  {
    name: 'a back-test of a service that cannot be counted',
    args: () => ['plan', 'backtest', plan],
    ending: 'refused',
    says: 'cannot count requests',
  },
  { name: 'an unknown command', args: () => ['promte'], ending: 'usage', says: 'did you mean "promote"?' },
  {
    name: 'an unknown option',
    args: () => ['list', '--stauts', 'paused'],
    ending: 'usage',
    says: 'did you mean --status?',
  },
  {
    name: 'an option of another command',
    args: () => ['list', '--reason', 'x'],
    ending: 'usage',
    says: 'list has no option --reason',
  },
  {
    name: 'a value that is none of the known',
    args: () => ['list', '--status', 'done'],
    ending: 'usage',
    says: 'wanted pending',
  },
  {
    name: 'a time without its unit',
    args: () => ['wait', 'ro_1', '--timeout', '30'],
    ending: 'usage',
    says: 'wanted a time like',
  },
  { name: 'a missing argument', args: () => ['get'], ending: 'usage', says: 'wanted ID' },
  {
    name: 'a name where an id is wanted',
    args: () => ['get', 'my/app'],
    ending: 'usage',
    says: 'wanted the id of a rollout',
  },
  {
    name: 'a plan that is not there',
    args: () => ['run', '/nowhere.yaml'],
    ending: 'usage',
    says: 'there is no such file',
  },
];

describe('the exit code', () => {
  it.each(cases)('tells $name: $ending', async ({ before, args, as, url, ending, says }) => {
    const id = (await before?.()) ?? '';
    const ran = await sluice(url ?? w.url, args(id), as === undefined ? {} : { as });
    expect(`${ran.stdout}${ran.stderr}`).toContain(says);
    expect(ran.code, `${ran.stdout}${ran.stderr}`).toBe(EXIT_CODES[ending].code);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('of a wait that is ended by %s is %d, and the rollout goes on', async (signal, code) => {
    const id = await started(w.fake);
    const running = begin(w.url, ['wait', id]);
    await running.said('created by');
    running.child.kill(signal);
    const ran = await running.ended;
    expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(`sluice wait ${id}`)]);
    expect((await w.fake.get(id))?.phase.name).toBe('pending');
  });

  it('of a run that is interrupted and aborts is that of an aborted rollout', async () => {
    const running = begin(w.url, ['run', plan, '--on-interrupt', 'abort']);
    await running.said('created by');
    running.child.kill('SIGTERM');
    const ran = await running.ended;
    expect([ran.code, ran.stdout]).toEqual([4, expect.stringContaining('aborted: Aborted by token ci-admin')]);
  });

  it('of an abort that waits is 0: that it went back is what was wanted', async () => {
    const id = await started(w.fake);
    await w.fake.toFirstStep(id);
    const running = begin(w.url, ['abort', id, '--wait', '--reason', 'wrong image']);
    await running.said('accepted');
    await drive(w.fake, id);
    const ran = await running.ended;
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining('wrong image')]);
  });
});

describe('the table of exit codes', () => {
  it('gives each its own number', () => {
    const codes = Object.values(EXIT_CODES).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('knows an ending for every problem that the server has', () => {
    expect(Object.keys(ENDING_OF_PROBLEM)).toEqual(expect.arrayContaining(PROBLEM_CODES));
  });

  it('is what the help shows', async () => {
    const { stdout, code } = await sluice(null, ['help', 'exit-codes'], { as: null });
    expect(code).toBe(0);
    for (const { code: number, when } of Object.values(EXIT_CODES)) {
      const lines = stdout.split('\n').filter((line) => line.includes(when));
      expect(lines.map((line) => Number.parseInt(line, 10))).toEqual([number]);
    }
  });
});

describe('the help', () => {
  it('shows every command with an example, without a server', async () => {
    const { stdout } = await sluice(null, ['help'], { as: null });
    for (const { name, summary } of COMMANDS)
      expect(stdout).toMatch(new RegExp(`  ${name}\\b.*${summary.slice(0, 20)}`));
    const plans = await sluice(null, ['help', 'plan'], { as: null });
    for (const { name, examples } of COMMANDS.filter((c) => c.name.startsWith('plan ')))
      for (const example of [...examples, name]) expect(plans.stdout).toContain(example);
  });

  it('is the same by --help, and a bare command shows it as a wrong usage', async () => {
    const [help, bare] = await Promise.all([
      sluice(null, ['run', '--help'], { as: null }),
      sluice(null, [], { as: null }),
    ]);
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('--idempotency-key KEY')]);
    expect(bare.code).toBe(2);
  });
});
