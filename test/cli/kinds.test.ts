/** Fleet rollouts and migrations have the commands, outputs and exit codes that rollouts have. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Ending } from '../../src/cli/exit-codes.ts';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { fleetDocument } from '../support/fleets-fake.ts';
import { aCaller } from '../support/migration-builders.ts';
import { migrationDocument } from '../support/migrations-fake.ts';
import { begin, inHome, sluice, type World, world } from './support.ts';

const CI = { id: 'tok', name: 'token ci', role: 'admin' } as const;
const fleetFile = inHome('fleet.json', JSON.stringify(fleetDocument()));
const migrationFile = inHome('strict.yaml', 'scope: { workload: myapp-v1, namespace: production }\n');
const MINUTES = 11 * 60_000;

let w: World;
beforeEach(async () => {
  w = await world();
});

async function aFleet(): Promise<string> {
  const result = await w.fleets.start(fleetDocument(), CI, null);
  if (!('fleet' in result)) throw new Error(JSON.stringify(result));
  return result.fleet.id;
}
/** The first wave is promoted, and somebody is asked. */
async function askingFleet(): Promise<string> {
  const id = await aFleet();
  await w.fleets.look(id, { east: { status: 'succeeded', message: 'Promoted after 2 m' } });
  await w.fleets.look(id);
  return id;
}
async function goneBack(id: string): Promise<void> {
  await w.fleets.look(id, { east: { status: 'rolled_back', message: 'canary errors 5 %, limit 1 %' } });
  await w.fleets.look(id);
}
async function aMigration(): Promise<string> {
  const result = await w.migrations.start(migrationDocument(), CI, null);
  if (!('migration' in result)) throw new Error(JSON.stringify(result));
  return result.migration.id;
}
async function toStrict(id: string): Promise<void> {
  await w.migrations.look(id);
  await w.migrations.look(id);
  w.migrations.advance(MINUTES);
  await w.migrations.look(id);
  await w.migrations.look(id);
}

interface Case {
  readonly name: string;
  readonly before?: () => Promise<string>;
  readonly args: (id: string) => readonly string[];
  readonly as?: 'viewer' | 'deployer';
  readonly ending: Ending;
  readonly says: string;
}

const cases: readonly Case[] = [
  {
    name: 'a fleet rollout that goes back, with the sentence that tells why',
    before: async () => {
      const id = await aFleet();
      await goneBack(id);
      return id;
    },
    args: (id) => ['fleet', 'wait', id],
    ending: 'rolled_back',
    says: 'canary errors 5 %, limit 1 %',
  },
  {
    name: 'a fleet rollout that asks for an approval',
    before: askingFleet,
    args: (id) => ['fleet', 'get', id, '--watch', '--exit-when-paused'],
    ending: 'paused',
    says: 'sluice fleet promote fr_1, or sluice fleet abort fr_1',
  },
  {
    name: 'a wait for a fleet rollout that is too short',
    before: aFleet,
    args: (id) => ['fleet', 'wait', id, '--timeout', '0s'],
    ending: 'timed_out',
    says: 'fleet rollout fr_1 goes on (running at wave 1 of 2 (first)). sluice fleet wait fr_1',
  },
  {
    name: 'a decision about a wave that is over',
    before: askingFleet,
    args: (id) => ['fleet', 'promote', id, '--expected-wave', '1'],
    ending: 'conflict',
    says: 'is paused at wave 1 of 2 (first), awaiting approval by now; nothing was done',
  },
  {
    name: 'a promotion of a wave that is under way',
    before: aFleet,
    args: (id) => ['fleet', 'promote', id],
    ending: 'conflict',
    says: 'promote the rollouts of its clusters, or wait',
  },
  {
    name: 'a promotion without the role',
    before: askingFleet,
    args: (id) => ['fleet', 'promote', id],
    as: 'deployer',
    ending: 'unauthorised',
    says: 'has the role deployer',
  },
  {
    name: 'a fleet plan that is wrong, with its line',
    args: () => ['fleet', 'run', inHome('odd.yaml', 'plan: { target: {} }\nwaves: []\n')],
    ending: 'refused',
    says: 'odd.yaml:2:8: /waves',
  },
  {
    name: 'a fleet plan that a cluster refuses',
    before: async () => {
      w.fake.refuseRoute('no VirtualService of that name');
      return '';
    },
    args: () => ['fleet', 'run', fleetFile],
    ending: 'refused',
    says: 'east/route: no VirtualService of that name',
  },
  {
    name: 'a dry run that finds as much',
    before: async () => {
      w.fake.refuseRoute('no VirtualService of that name');
      return '';
    },
    args: () => ['fleet', 'dry-run', fleetFile],
    ending: 'refused',
    says: 'This plan would be refused now',
  },
  {
    name: 'a fleet rollout that is not there',
    args: () => ['fleet', 'get', 'fr_404'],
    ending: 'not_found',
    says: 'no fleet rollout has the id',
  },
  {
    name: 'a migration that succeeds',
    before: async () => {
      const id = await aMigration();
      await toStrict(id);
      w.migrations.advance(MINUTES);
      await w.migrations.look(id);
      return id;
    },
    args: (id) => ['migration', 'wait', id],
    ending: 'done',
    says: 'succeeded: PeerAuthentication production/default is STRICT for',
  },
  {
    name: 'a migration that waits for somebody to give a caller a proxy',
    before: async () => {
      const id = await aMigration();
      await w.migrations.look(id);
      await w.migrations.look(id, { plaintext: { ok: true, calls: 600, callers: [aCaller()] } });
      return id;
    },
    args: (id) => ['migration', 'wait', id, '--exit-when-paused'],
    ending: 'paused',
    says: 'STRICT would refuse production/legacy',
  },
  {
    name: 'a migration that was aborted',
    before: async () => {
      const id = await aMigration();
      await w.migrations.abort(id, CI, { reason: 'not today', giveUp: false });
      return id;
    },
    args: (id) => ['migration', 'get', id, '--watch'],
    ending: 'aborted',
    says: 'not today',
  },
  {
    name: 'a scope that is taken',
    before: aMigration,
    args: () => ['migration', 'run', migrationFile],
    ending: 'conflict',
    says: 'migration mm_1 of this scope is pending',
  },
  {
    name: 'a migration that is not valid, with its line',
    args: () => ['migration', 'run', inHome('none.yaml', 'scope: {}\n')],
    ending: 'refused',
    says: 'none.yaml:1:8: /scope: wanted workload with its namespace',
  },
  {
    name: 'no migration of that id',
    args: () => ['migration', 'abort', 'mm_404'],
    ending: 'not_found',
    says: 'no migration has the id',
  },
  { name: 'a group alone', args: () => ['fleet'], ending: 'usage', says: 'wanted one of the commands fleet run' },
  {
    name: 'a name where an id is wanted',
    args: () => ['migration', 'get', 'my/app'],
    ending: 'usage',
    says: 'wanted the id of a migration, like mm_',
  },
];

describe('the exit code', () => {
  it.each(cases)('tells $name: $ending', async ({ before, args, as, ending, says }) => {
    const id = (await before?.()) ?? '';
    const ran = await sluice(w.url, args(id), as === undefined ? {} : { as });
    expect(`${ran.stdout}${ran.stderr}`).toContain(says);
    expect(ran.code, `${ran.stdout}${ran.stderr}`).toBe(EXIT_CODES[ending].code);
  });

  it('of a run is that of what it started, and each change is told once', async () => {
    const running = begin(w.url, ['fleet', 'run', fleetFile, '--label', 'image=myapp:2.1']);
    await running.said('wave 1 of 2 (first) begins');
    await goneBack('fr_1');
    const { code, stdout, stderr } = await running.ended;
    expect([code, stderr]).toEqual([3, '']);
    expect(stdout).toMatch(/^fr_1 {2}myapp \(production\) in 3 clusters, 2 waves: started\n/);
    const { facts = [], fleet } = (await w.fleets.get('fr_1')) ?? {};
    for (const { message, type } of facts) expect(stdout.split(message)).toHaveLength(2 + Number(type === 'ended'));
    expect(fleet?.spec.plan['labels']).toEqual({ image: 'myapp:2.1' });
  });

  it('of an abort that waits is 0: that it went back is what was wanted', async () => {
    const id = await aMigration();
    await toStrict(id);
    const running = begin(w.url, ['migration', 'abort', id, '--wait', '--reason', 'not today']);
    await running.said('accepted; it is rolling_back');
    await w.migrations.look(id);
    const { code, stdout } = await running.ended;
    expect([code, stdout]).toEqual([0, expect.stringContaining('not today')]);
  });

  it('of an interrupted run that is to abort is that of what was aborted', async () => {
    const running = begin(w.url, ['migration', 'run', migrationFile, '--on-interrupt', 'abort']);
    await running.said('Created by');
    running.child.kill('SIGTERM');
    const { code, stdout } = await running.ended;
    expect([code, stdout]).toEqual([4, expect.stringContaining('nothing was written')]);
  });
});

describe('a fleet rollout', () => {
  it('is a tree of its waves, and below each its clusters with their rollouts', async () => {
    const id = await askingFleet();
    const { stdout } = await sluice(w.url, ['fleet', 'get', id]);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^myapp {2}paused \(awaiting approval\) {2}production {2}istio {2}fr_1 /);
    expect(stdout).toMatch(
      /├─ ● wave 1 {2}first {2}then approval\n│ {4}east {2}succeeded {2}ro_east {2}Promoted after/,
    );
    expect(stdout).toMatch(/└─ ○ wave 2 {2}rest\n {5}west {3}not started {2}-/);
    expect(stdout).toContain('Waiting for approval: wave 1 of 2 (first) is promoted');
  });

  it('is listed, by state, as a table and by name, and told step by step', async () => {
    const id = await askingFleet();
    await aFleet();
    const list = await sluice(w.url, ['fleet', 'list', '--status', 'paused']);
    expect(list.stdout).toMatch(/fr_1 +myapp +production +paused\* +1\/2 +1\/3 /);
    expect(list.stdout).not.toContain('fr_2');
    expect((await sluice(w.url, ['fleet', 'list', '--live', '-o', 'name'])).stdout).toBe('fr_2\nfr_1\n');
    const history = await sluice(w.url, ['fleet', 'history', id, '-o', 'json']);
    const types = (JSON.parse(history.stdout) as { items: { type: string }[] }).items.map(({ type }) => type);
    expect(types).toEqual(['created', 'child_started', 'child_ended', 'wave_promoted', 'paused']);
  });

  it('goes on with its next wave when it is promoted as it was seen', async () => {
    const id = await askingFleet();
    const { code, stdout } = await sluice(w.url, ['fleet', 'promote', id]);
    expect([code, stdout]).toEqual([0, `${id}  promote: accepted; it is running at wave 2 of 2 (rest)\n`]);
  });

  it('is found again by a repeat within one run of a pipeline', async () => {
    const given = { env: { CI_JOB_ID: '7', CI_PROJECT_ID: '1' } };
    const first = await sluice(w.url, ['fleet', 'run', fleetFile, '--no-wait', '-o', 'name'], given);
    const again = await sluice(w.url, ['fleet', 'run', fleetFile, '--no-wait'], given);
    expect([first.stdout, again.code, again.stdout]).toEqual(['fr_1\n', 0, expect.stringContaining('found again')]);
  });
});

describe('a migration', () => {
  it('is a tree of guard and watch, with the callers that are in the way', async () => {
    const id = await aMigration();
    await w.migrations.look(id);
    await w.migrations.look(id, { plaintext: { ok: true, calls: 600, callers: [aCaller()] } });
    const { stdout } = await sluice(w.url, ['migration', 'get', id]);
    expect(stdout).toMatch(/^workload production\/myapp-v1 {2}guarding {2}default {2}istio /);
    expect(stdout).toMatch(/├─ ● guard .*10 m\n│ {4}production\/legacy called .* in plaintext/);
    expect(stdout).toContain('└─ ○ STRICT  watched for 10 m');
  });

  it('shows under watch what STRICT is judged against, and how long it is still watched', async () => {
    const id = await aMigration();
    await toStrict(id);
    const { stdout } = await sluice(w.url, ['migration', 'get', id]);
    expect(stdout).toMatch(/└─ ● STRICT .* left of 10 m\n.*before: 0 of 600 calls in 1 m did not connect/);
    expect(stdout).toContain('before: 10 calls a second from production/frontend');
  });

  it('is listed by state and namespace', async () => {
    await aMigration();
    const { stdout } = await sluice(w.url, ['migration', 'list', '--live', '--namespace', 'production']);
    expect(stdout).toMatch(/mm_1 +workload production\/myapp-v1 +default +pending +- /);
    const none = await sluice(w.url, ['migration', 'list', '--status', 'strict']);
    expect(none.stderr).toBe('no migrations\n');
  });
});
