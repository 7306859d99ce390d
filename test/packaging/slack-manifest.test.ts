/** The manifests of the Slack app ask for what the code uses, and for nothing more. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BOT_SCOPES } from '../../src/adapters/notify/slack-doctor.ts';
import { askOf } from '../../src/app/slack-command.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Manifest {
  readonly features: { readonly slash_commands: readonly { command: string; url?: string; usage_hint: string }[] };
  readonly oauth_config: { readonly scopes: { readonly bot: readonly string[] } };
  readonly settings: {
    readonly interactivity: { is_enabled: boolean; request_url?: string };
    readonly socket_mode_enabled: boolean;
  };
}
const HTTP: Manifest = parse(read('deploy/slack-manifest.yaml'));
const SOCKET: Manifest = parse(read('deploy/slack-manifest.socket-mode.yaml'));

/** From each method's page of Slack's reference: the bot scopes of public and of private channels. */
const SCOPES: Readonly<Record<string, readonly string[]>> = {
  'chat.postMessage': ['chat:write'],
  'chat.update': ['chat:write'],
  'conversations.history': ['channels:history', 'groups:history'],
  'conversations.replies': ['channels:history', 'groups:history'],
};
/** Slash commands need one of their own. */
const COMMANDS = 'commands';

const room = join(ROOT, 'src/adapters/notify');
const called = new Set(
  readdirSync(room)
    .filter((name) => name.startsWith('slack'))
    .flatMap((name) => [...readFileSync(join(room, name), 'utf8').matchAll(/'((?:chat|conversations|users)\.\w+)'/g)])
    .map(([, method]) => method ?? ''),
);

describe.each([
  ['HTTP', HTTP],
  ['Socket Mode', SOCKET],
])('the manifest for %s', (_, manifest) => {
  it('asks for the scopes of the methods that are called, and for no other', () => {
    expect([...called].toSorted()).toEqual(Object.keys(SCOPES));
    expect(manifest.oauth_config.scopes.bot.toSorted()).toEqual(
      [...new Set([COMMANDS, ...Object.values(SCOPES).flat()])].toSorted(),
    );
  });

  it('asks for what the doctor looks for', () => {
    expect(manifest.oauth_config.scopes.bot.toSorted()).toEqual([...BOT_SCOPES].toSorted());
  });

  it('has the command whose words are understood', () => {
    const [only, ...others] = manifest.features.slash_commands;
    expect([only?.command, others]).toEqual(['/rollout', []]);
    for (const words of only?.usage_hint.split(' | ') ?? []) expect(askOf(words).name).toBe(words.split(' ')[0]);
  });

  it('has buttons', () => {
    expect(manifest.settings.interactivity.is_enabled).toBe(true);
  });
});

it('the manifest for HTTP names the addresses that the service serves', () => {
  const router = read('src/http/slack.ts');
  const urls = [HTTP.features.slash_commands[0]?.url, HTTP.settings.interactivity.request_url];
  for (const url of urls) expect(router).toContain(`'${new URL(url ?? '').pathname}'`);
});

it('the two differ in the addresses, and in Socket Mode, alone', () => {
  const { url: _, ...command } = HTTP.features.slash_commands[0] as { url?: string };
  expect(SOCKET).toEqual({
    ...HTTP,
    features: { ...HTTP.features, slash_commands: [command] },
    settings: { ...HTTP.settings, interactivity: { is_enabled: true }, socket_mode_enabled: true },
  });
});

it('docs/slack.md leads to both', () => {
  for (const name of ['slack-manifest.yaml', 'slack-manifest.socket-mode.yaml'])
    expect(read('docs/slack.md')).toContain(`(../deploy/${name})`);
});
