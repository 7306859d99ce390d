import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { planDocument } from '../support/usecases-fake.ts';
import { begin, drive, inHome, SHORT, sluice, started, tell, world } from './support.ts';

const plan = inHome('waiting.json', JSON.stringify(SHORT));

let server: Server | null = null;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = null;
});

/** A server in front: answers what it is told, then goes away. */
async function answering(port: number, status: number, headers: Record<string, string>): Promise<{ asked: number }> {
  const seen = { asked: 0 };
  server = createServer((_req, res) => {
    seen.asked += 1;
    res.writeHead(status, headers).end('back end is away');
  });
  await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  return seen;
}
const gone = () =>
  new Promise<void>((resolve) => {
    server?.closeAllConnections();
    server?.close(() => resolve());
  });

describe('waiting', { timeout: 90_000 }, () => {
  it('survives a server that is killed and comes back, and tells each change once', async () => {
    const w = await world();
    const id = await started(w.fake, SHORT);
    const running = begin(w.url, ['wait', id, '--timeout', '1m']);
    await running.said('created by');
    await w.down();
    await running.said('trying again');
    await w.fake.toFirstStep(id);
    await w.up();
    await running.said('the server answers again');
    await drive(w.fake, id);
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(0);
    for (const fact of await w.fake.facts(id, 0, 100))
      expect(stdout.split(fact.message)).toHaveLength(2 + Number(fact.type === 'ended'));
    expect(stderr.match(/trying again/g)).toHaveLength(1);
  });

  it.each([
    [503, { 'Retry-After': '1' }],
    [502, {}],
    [404, { 'Content-Type': 'text/plain' }],
    [429, { 'Retry-After': '1' }],
  ] as const)('survives an ingress that answers %d for a while', async (status, headers) => {
    const w = await world();
    const id = await started(w.fake, SHORT);
    const running = begin(w.url, ['wait', id]);
    await running.said('created by');
    await w.down();
    const front = await answering(w.port, status, headers);
    await running.said('trying again');
    await sleep(600);
    await gone();
    // With a wish of a second there is one request in that time, not a flood.
    expect(front.asked).toBeLessThanOrEqual('Retry-After' in headers ? 1 : 4);
    await w.up();
    await drive(w.fake, id);
    expect((await running.ended).code).toBe(0);
  });

  it('is over after --timeout even while the server is away, and says that the rollout goes on', async () => {
    const w = await world();
    const id = await started(w.fake);
    const running = begin(w.url, ['wait', id, '--timeout', '1500ms']);
    await running.said('created by');
    await w.down();
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([5, expect.stringContaining(`rollout ${id} goes on`)]);
  }, 15_000);

  it('ends at once when the token is revoked meanwhile', async () => {
    const w = await world();
    const id = await started(w.fake);
    const running = begin(w.url, ['wait', id]);
    await running.said('created by');
    await w.down();
    await w.up({ tokens: { authenticate: async () => null } });
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([8, expect.stringContaining(`Rollout ${id} goes on by itself`)]);
  });

  it('starts one rollout however often the start is sent: the key is the same', async () => {
    const w = await world();
    await w.down();
    const running = begin(w.url, ['run', plan, '-o', 'name', '--no-wait'], {
      env: { GITHUB_RUN_ID: '7', GITHUB_RUN_ATTEMPT: '1', GITHUB_JOB: 'deploy', GITHUB_REPOSITORY_ID: '9' },
    });
    await running.said('trying again');
    await w.up();
    const first = await running.ended;
    const again = await sluice(w.url, ['run', plan, '--no-wait'], {
      env: { GITHUB_RUN_ID: '7', GITHUB_RUN_ATTEMPT: '1', GITHUB_JOB: 'deploy', GITHUB_REPOSITORY_ID: '9' },
    });
    expect([first.code, first.stdout]).toEqual([0, 'ro_1\n']);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('found again')]);
    // A new attempt is a new rollout, and the first one is in its way.
    const attempt = await sluice(w.url, ['run', plan, '--no-wait'], {
      env: { GITHUB_RUN_ID: '7', GITHUB_RUN_ATTEMPT: '2', GITHUB_JOB: 'deploy', GITHUB_REPOSITORY_ID: '9' },
    });
    expect(attempt.code).toBe(9);
  });

  it('goes on when a pause ends, and stops for a person only where it was asked to', async () => {
    const w = await world();
    const id = await started(w.fake, SHORT);
    await w.fake.toFirstStep(id);
    await tell(w.fake, id, { name: 'pause', reason: 'lunch' });
    const running = begin(w.url, ['wait', id]);
    await running.said('lunch');
    await tell(w.fake, id, { name: 'resume' });
    await drive(w.fake, id);
    expect((await running.ended).code).toBe(0);
  });
});

describe('run', () => {
  it('prints one plain line for each change, and last of all the sentence that tells why', async () => {
    const w = await world();
    const running = begin(w.url, ['run', plan, '--label', 'image=myapp:2.1']);
    await running.said('created by');
    await drive(w.fake, 'ro_1');
    const { code, stdout, stderr } = await running.ended;
    const facts = await w.fake.facts('ro_1', 0, 100);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(facts.length + 2);
    for (const [index, { message }] of facts.entries()) expect(lines[index + 1]).toContain(message);
    expect(lines.at(-1)).toMatch(/^succeeded: /);
    expect([code, stderr]).toEqual([0, '']);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: there must be none.
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    expect((await w.fake.get('ro_1'))?.plan.labels).toEqual({ image: 'myapp:2.1' });
  });

  it('gives the document alone to programs, and the changes to people beside it', async () => {
    const w = await world();
    const running = begin(w.url, ['run', '-', '-o', 'json', '--watch', '--set', 'labels.build=17'], {
      input: JSON.stringify(planDocument({ steps: [{ weight: 50, hold: '0s' }] })),
    });
    await running.said('"status":"pending"');
    await drive(w.fake, 'ro_1');
    const { code, stdout } = await running.ended;
    const documents = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { status: string; labels: unknown });
    expect(documents.at(-1)).toMatchObject({ status: 'succeeded', labels: { build: '17' } });
    expect(code).toBe(0);
  });
});
