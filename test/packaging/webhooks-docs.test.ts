/** docs/webhooks.md tells the truth: its YAML is read by the service, and its receiver answers what it says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { decisionOf } from '../../src/adapters/gates.ts';
import { openChannels } from '../../src/adapters/notify/open-channels.ts';
import { openOutbound } from '../../src/adapters/outbound/post.ts';
import { signedHeaders } from '../../src/adapters/outbound/standard-webhooks.ts';
import { loadChannels, loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import { readConfig } from '../../src/config.ts';
import { chartFile, ROOT } from '../support/chart.ts';

const page = await readFile(join(ROOT, 'docs/webhooks.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text = '']) => text);
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const outbound = openOutbound({ allowed: { ranges: ['127.0.0.1/32'], suffixes: [] } });

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-receiver-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('the examples', () => {
  it('of gates are part of a plan', async () => {
    const meshes = [...(await loadMeshes()).values()];
    const istio = meshes.find(({ kind }) => kind === 'istio');
    const { webhooks } = parse(blocks('yaml')[0] ?? '') as { webhooks: object[] };
    const parsed = planParser(meshes, ['prometheus'], () => null).parse({
      target: istio?.example,
      steps: [{ weight: 5, hold: '1m' }],
      webhooks,
    });
    expect(parsed).toMatchObject({ ok: true, plan: { webhooks: [{ gate: 'beforeStart' }, {}, { gate: 'after' }] } });
  });

  it('of channels can be opened', async () => {
    const file = join(dir, 'channels.yaml');
    await writeFile(file, blocks('yaml')[1] ?? '');
    const read = readConfig({
      DATABASE_URL: 'postgres://db/sluice',
      KUBECONFIG: file,
      PROMETHEUS_URL: 'http://prometheus:9090',
      SLUICE_CHANNELS_FILE: file,
      OPS_SECRET: SECRET,
      OPS_SECRET_OLD: SECRET,
      TEAMS_URL: 'https://teams.example.com/x',
      PAGERDUTY_KEY: 'R0UTINGKEY0123456789',
    });
    if (!read.ok) throw new Error(read.problems.join('\n'));
    const opened = openChannels(read.config.channels, await loadChannels(), outbound);
    expect(opened.map(({ name }) => name)).toEqual(['ops', 'teams', 'oncall']);
  });

  it('name every kind of channel that there is, as does the chart', async () => {
    const kinds = [...(await loadChannels()).keys()].toSorted();
    const rows = [...page.matchAll(/^\| `(\w+)` \| `(?:url|routingKey)`/gm)].map(([, kind = '']) => kind);
    expect(rows.toSorted()).toEqual(kinds);
    const schema = JSON.parse(chartFile('values.schema.json'));
    const [channel] = Object.values(schema.properties.channels.patternProperties) as {
      properties: { kind: { enum: string[] } };
    }[];
    expect(channel?.properties.kind.enum.toSorted()).toEqual(kinds);
  });

  it('of JSON are JSON', () => {
    for (const text of blocks('json')) expect(() => JSON.parse(text)).not.toThrow();
  });
});

describe('the receiver', () => {
  let child: ChildProcess;
  let url: string;
  beforeAll(async () => {
    const port = await freePort();
    const file = join(dir, 'receiver.mjs');
    await writeFile(
      file,
      (blocks('js')[0] ?? '').replace('.listen(process.env.PORT)', ".listen(process.env.PORT, '127.0.0.1')"),
    );
    child = spawn(process.execPath, [file], { env: { WEBHOOK_SECRET: SECRET, PORT: String(port) }, stdio: 'inherit' });
    url = `http://127.0.0.1:${port}/`;
    const up = () => outbound.post(url, { headers: {}, body: '', timeout: 1_000 });
    await vi.waitFor(async () => expect((await up()).ok).toBe(true), { timeout: 10_000 });
  });
  afterAll(() => child?.kill());

  const body = JSON.stringify({ type: 'gate.asked', data: {} });
  const send = (headers: Readonly<Record<string, string>>, text = body) =>
    outbound.post(url, { headers, body: text, timeout: 5_000 });

  it('takes what is signed, and decides', async () => {
    const { decision } = decisionOf(await send(signedHeaders('q', body, Date.now(), [SECRET])));
    expect(decision).toBe(new Date().getUTCDay() === 5 ? 'wait' : 'approve');
    const told = JSON.stringify({ type: 'rollout.ended', data: {} });
    expect(await send(signedHeaders('m', told, Date.now(), [SECRET]), told)).toMatchObject({ status: 204 });
  });

  it.each([
    ['without a signature', {}],
    ['by another', signedHeaders('q', body, Date.now(), [`whsec_${Buffer.alloc(32, 1).toString('base64')}`])],
    ['of another body', signedHeaders('q', `${body} `, Date.now(), [SECRET])],
    ['of long ago', signedHeaders('q', body, Date.now() - 3_600_000, [SECRET])],
  ])('refuses what comes %s', async (_, headers) => {
    expect(await send(headers)).toMatchObject({ status: 401 });
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
