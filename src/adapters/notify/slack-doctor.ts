/** Asks Slack whether the app is set up as it is used here. Changes nothing, and posts nothing. */
import { WebClient } from '@slack/web-api';
import type { Millis } from '../../domain/plan.ts';
import { classified } from './slack-api.ts';
import { mute } from './slack-mute.ts';

export interface SlackSetup {
  readonly token: string;
  readonly channel: string;
  /** null: requests come over HTTP. */
  readonly appToken: string | null;
  /** null: Slack's own. */
  readonly apiUrl: string | null;
}

export interface SlackFinding {
  readonly well: boolean;
  /** One sentence; where it is not well, with what to do. */
  readonly message: string;
}

/** Bot scopes, as the manifests ask for them. */
export const BOT_SCOPES = ['chat:write', 'commands', 'channels:history', 'groups:history'] as const;

const TIMEOUT: Millis = 10_000;

type Answer = Readonly<Record<string, unknown>>;

export async function examineSlack({ token, channel, appToken, apiUrl }: SlackSetup): Promise<readonly SlackFinding[]> {
  const ask = asking(apiUrl);
  return [
    ...(await finding(ask(token, 'auth.test', {}), botWords)),
    ...(await finding(ask(token, 'conversations.history', { channel, limit: 1 }), () => [
      { well: true, message: `the app is in channel ${channel}` },
    ])),
    ...(appToken === null
      ? []
      : await finding(ask(appToken, 'apps.connections.open', {}), () => [
          { well: true, message: 'Socket Mode is on, and the app token opens connections' },
        ])),
  ];
}

const asking =
  (apiUrl: string | null) =>
  async (token: string, method: string, args: Record<string, unknown>): Promise<Answer> => {
    const client = new WebClient(token, {
      ...(apiUrl === null ? {} : { slackApiUrl: apiUrl }),
      timeout: TIMEOUT,
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      allowAbsoluteUrls: false,
      logger: mute,
    });
    try {
      return { ...(await client.apiCall(method, args)) };
    } catch (error) {
      throw classified(method, error);
    }
  };

async function finding(
  asked: Promise<Answer>,
  well: (answer: Answer) => readonly SlackFinding[],
): Promise<readonly SlackFinding[]> {
  try {
    return well(await asked);
  } catch (error) {
    return [{ well: false, message: error instanceof Error ? error.message : String(error) }];
  }
}

function botWords({ user, team, response_metadata: metadata }: Answer): readonly SlackFinding[] {
  const scopes = (metadata as { scopes?: readonly string[] } | undefined)?.scopes ?? [];
  const missing = BOT_SCOPES.filter((scope) => !scopes.includes(scope));
  return [
    { well: true, message: `the bot token is that of ${String(user)} in workspace ${String(team)}` },
    missing.length === 0
      ? { well: true, message: `it has the scopes ${BOT_SCOPES.join(', ')}` }
      : {
          well: false,
          message: `it lacks the scope ${missing.join(', ')}: compare the app with its manifest (docs/slack.md) and install it again`,
        },
  ];
}
