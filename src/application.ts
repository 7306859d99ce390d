/** What a process answers over HTTP: the API, and beside it the page, the sign-in and Slack's way in, each with its own guard. */
import type { Logger } from './app/ports.ts';
import type { Service } from './compose.ts';
import type { Config } from './config.ts';
import { cliLoginRouter } from './http/cli-login.ts';
import { pageRouter } from './http/page.ts';
import type { ServerOptions } from './http/server.ts';
import { createServer, LIMITS } from './http/server.ts';
import type { Sessions } from './http/session.ts';
import { sessions as openSessions } from './http/session.ts';
import type { SessionTokens } from './http/session-token.ts';
import { sessionTokens } from './http/session-token.ts';
import { SIGN_ON_PATH, signOnRouter } from './http/sign-on.ts';
import { slackRouter } from './http/slack.ts';

export const VERSION = '0.1.0';

export interface ApplicationConfig
  extends Pick<Config, 'trustedProxies' | 'metricsOpen' | 'publicUrl' | 'sessionKey' | 'clusters'> {
  /** null: nothing of Slack comes in by HTTP. */
  readonly slack: Pick<NonNullable<Config['slack']>, 'signingSecrets'> | null;
}

type Routers = NonNullable<ServerOptions['extraRouters']>;

/** A worker has neither page nor Slack: nobody is led to it. */
export function application(
  role: 'api' | 'worker' | 'all',
  config: ApplicationConfig,
  service: Service,
  log: Logger,
): ReturnType<typeof createServer> {
  const page = role === 'worker' ? null : openPage(config, service, log);
  return createServer({
    usecases: service.useCases,
    migrations: service.migrations,
    fleets: service.fleets,
    deliveries: service.deliveries,
    tokens: service.tokens,
    audit: service.audit,
    trustedProxies: config.trustedProxies,
    recorder: service.recorder,
    tracer: service.tracer,
    log,
    ready: () => service.ready(),
    version: VERSION,
    metricsOpen: config.metricsOpen,
    extraRouters: [...(role === 'worker' ? [] : openSlack(config, service, log)), ...(page?.routers ?? [])],
    ...(page === null ? {} : { sessions: page.sessions }),
    ...(page?.tokens === undefined ? {} : { sessionTokens: page.tokens }),
    ...(service.federation === null ? {} : { federation: service.federation }),
    ...(config.publicUrl === null ? {} : { publicUrl: config.publicUrl }),
  });
}

function openSlack({ slack }: ApplicationConfig, { inbound }: Service, log: Logger): Routers {
  const signingSecrets = slack?.signingSecrets ?? [];
  return signingSecrets.length === 0
    ? []
    : [slackRouter({ signingSecrets, accept: inbound.accept, now: Date.now, log })];
}

interface Page {
  readonly sessions: Sessions;
  /** Absent: nobody signs in by a provider. */
  readonly tokens?: SessionTokens;
  readonly routers: Routers;
}

function openPage(config: ApplicationConfig, { tokens, recorder, audit, signOn }: Service, log: Logger): Page {
  const authenticate: Service['tokens']['authenticate'] = (token) => tokens.authenticate(token);
  const sessions = openSessions({
    key: config.sessionKey,
    authenticate,
    ...(signOn === null ? {} : { people: signOn.people }),
    publicUrl: config.publicUrl ?? undefined,
    now: Date.now,
  });
  const links = { prometheus: prometheusLinks(config), tools: [] };
  const router = pageRouter({
    sessions,
    authenticate,
    audit,
    log,
    recorder,
    version: VERSION,
    heartbeat: LIMITS.heartbeat,
    links,
    signOn: signOn === null ? null : { label: signOn.provider.label, href: SIGN_ON_PATH },
  });
  if (signOn === null) return { sessions, routers: [router] };
  const { sessionKey: key, publicUrl } = config;
  const { provider, people, codes } = signOn;
  const routes = { signOn: provider, people, audit, sessions, key, publicUrl: publicUrl ?? '', now: Date.now, log };
  const issued = sessionTokens(key, people, Date.now);
  return {
    sessions,
    tokens: issued,
    routers: [signOnRouter(routes), cliLoginRouter({ sessions, people, codes, tokens: issued, audit, log }), router],
  };
}

/** Whoever is signed in sees these addresses: without the passwords in them. */
const prometheusLinks = ({ clusters }: Pick<Config, 'clusters'>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    clusters.flatMap(({ name, prometheus }): [string, string][] => {
      if (prometheus === null) return [];
      const url = new URL(prometheus.publicUrl ?? prometheus.url);
      return [[name, `${url.origin}${url.pathname}`]];
    }),
  );
