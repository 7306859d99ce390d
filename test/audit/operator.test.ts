/** The commands that write to the database directly, and the two addresses of `migrate`. As processes, as they are run. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const role = `sluice_app_${randomUUID().slice(0, 8)}`;

let fresh: FreshDatabase;
let owner: pg.Client;

beforeAll(async () => {
  fresh = await freshDatabase();
  owner = new pg.Client({ connectionString: fresh.url });
  await owner.connect();
  await owner.query(`create role ${role} login password 'app'`);
});
afterAll(async () => {
  await owner.query(`drop owned by ${role}; drop role ${role}`);
  await owner.end();
  await fresh.drop();
});

const as = (user: string): string => {
  const url = new URL(fresh.url);
  url.username = user;
  url.password = 'app';
  return url.href;
};
const run = (args: readonly string[], env: Record<string, string>) =>
  promisify(execFile)(process.execPath, [MAIN, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env } });

it('migrate logs in as the owner, and gives the role of DATABASE_URL what the service needs', async () => {
  const app = { DATABASE_URL: as(role) };
  await expect(run(['token', 'create', '--name', 'ci', '--role', 'viewer'], app)).rejects.toThrow('permission denied');
  const { stdout } = await run(['migrate'], { ...app, DATABASE_OWNER_URL: fresh.url });
  expect(stdout).toBe('the schema is up to date\n');
  await run(['token', 'create', '--name', 'ci', '--role', 'viewer', '--reason', 'for the pipeline'], app);
});

it('a token and a person of Slack are given their names and groups, and nothing that is none', async () => {
  const env = { DATABASE_URL: fresh.url };
  const who = ['--person', 'ana@example.com', '--person', 'ana-gh', '--group', 'payments-oncall', '--role', 'approver'];
  await run(['token', 'create', '--name', 'ana-laptop', ...who], env);
  const { stdout } = await run(['token', 'list'], env);
  expect(stdout).toContain('\tapprover\tvalid\tana-laptop\tana@example.com, ana-gh\tpayments-oncall\tall\tall\n');
  const mapped = await run(['slack', 'map', '--team', 'T9', '--user', 'U9', '--name', 'ana', ...who], env);
  expect(mapped.stdout).toBe('mapped: slack U9 (ana), approver, payments-oncall\n');
  await expect(run(['token', 'create', '--name', 'x', '--role', 'viewer', '--group', 'a, b'], env)).rejects.toThrow(
    'wanted names of letters',
  );
});

it('each command leaves a row with whoever had the shell, and why', async () => {
  const env = { DATABASE_URL: fresh.url };
  const { stdout } = await run(['token', 'create', '--name', 'eve', '--role', 'admin', '--reason', 'on call'], env);
  const id = stdout.split('_')[1] ?? '';
  await run(['token', 'revoke', '--id', id, '--reason', 'left'], env);
  await run(['slack', 'map', '--team', 'T1', '--user', 'U1', '--name', 'eve', '--role', 'viewer'], env);
  await run(['slack', 'unmap', '--team', 'T1', '--user', 'U1'], env);
  const { rows } = await owner.query(
    'select action, object_id, via, actor, reason from audit order by seq desc limit 4',
  );
  expect(rows.toReversed().map(({ action, object_id, via, reason }) => [action, object_id, via, reason])).toEqual([
    ['token.create', id, 'cli', 'on call'],
    ['token.revoke', id, 'cli', 'left'],
    ['slack.map', 'T1:U1', 'cli', null],
    ['slack.unmap', 'T1:U1', 'cli', null],
  ]);
  for (const { actor } of rows) expect(actor).toMatch(/^operator .+@.+$/);
  expect(JSON.stringify(rows)).not.toContain(stdout.trim().slice(-43));
});
