/** What a worker does beside ticks: telling Slack, channels and webhooks, and hearing of Slack. */
import { afterNotifier, channelNotifier } from '../adapters/notify/alerts.ts';
import type { OpenChannel } from '../adapters/notify/open-channels.ts';
import { slackNotifier } from '../adapters/notify/slack.ts';
import { slackApi } from '../adapters/notify/slack-api.ts';
import type { NewsSubject } from '../adapters/notify/slack-news.ts';
import { fleetNews, migrationNews, tellNews } from '../adapters/notify/slack-news.ts';
import { slackResponder } from '../adapters/notify/slack-respond.ts';
import type { Outbound } from '../adapters/outbound/post.ts';
import type { Database } from '../adapters/postgres/db.ts';
import { giveUpLost, postgresAfterOutbox, postgresAlertOutbox } from '../adapters/postgres/deliveries.ts';
import { postgresNewsOutbox, postgresOutbox } from '../adapters/postgres/outbox.ts';
import type { postgresRolloutStore } from '../adapters/postgres/rollout-store.ts';
import { postgresSlackMessages as slackMessages } from '../adapters/postgres/slack-messages.ts';
import { postgresSlackPrincipals } from '../adapters/postgres/slack-principals.ts';
import type { AuditLog } from '../app/audit/log.ts';
import { deliveryLoop, handOver, startAlerts, startDelivery } from '../app/deliver.ts';
import type { About, SubjectKind } from '../app/deliveries.ts';
import type { FleetStore } from '../app/fleet/ports.ts';
import { inboundStep } from '../app/inbound.ts';
import type { MigrationStore } from '../app/migration/ports.ts';
import type { NewsKind } from '../app/news.ts';
import { NEWS_CHANNELS } from '../app/news.ts';
import type { DeliveryLog, InboundCommands, Logger, Notifier, Recorder } from '../app/ports.ts';
import type { Repeating } from '../app/repeat.ts';
import { repeat } from '../app/repeat.ts';
import type { Intake } from '../app/slack-intake.ts';
import type { Subjects } from '../app/subject.ts';
import { fleetSubject, migrationSubject, rolloutSubject } from '../app/subject.ts';
import type { Tracer } from '../app/tracer.ts';
import type { UseCases } from '../app/usecases.ts';
import type { Millis } from '../domain/plan.ts';
import type { Settings, SlackSettings } from './settings.ts';

const LOST_EVERY: Millis = 3_600_000;

export async function lostStep(db: Database, configured: readonly string[], log: Logger): Promise<Millis> {
  const lost = await giveUpLost(db, configured);
  if (lost > 0) log.warn({ lost }, 'messages of channels that are configured no more were given up');
  return LOST_EVERY;
}

interface AlertLoopPorts extends Pick<LoopPorts, 'store'>, NewsPorts {
  readonly settings: Settings;
  readonly deliveries: DeliveryLog;
  readonly outbound: Outbound;
  readonly secrets: readonly string[];
}

const VIEWS: Readonly<Record<SubjectKind, string>> = { rollout: 'rollouts', fleet: 'fleets', migration: 'migrations' };

export const linkTo =
  ({ publicUrl }: Settings) =>
  ({ kind, id }: About): string | null =>
    publicUrl === null ? null : `${publicUrl}/ui/${VIEWS[kind]}/${id}`;

export function alertLoops(db: Database, told: readonly OpenChannel[], ports: AlertLoopPorts) {
  const { settings, deliveries, outbound, secrets, store, fleets, migrations, recorder, tracer, log } = ports;
  const options = { outbound, log: deliveries, link: linkTo(settings), now: Date.now };
  const subjects: Subjects = {
    rollout: async (id) => mapped(await store.load(id), ({ rollout }) => rolloutSubject(rollout)),
    fleet: async (id) => mapped(await fleets.load(id), ({ fleet }) => fleetSubject(fleet)),
    migration: async (id) => mapped(await migrations.load(id), ({ migration }) => migrationSubject(migration)),
  };
  return [
    () =>
      startAlerts(
        { outbox: postgresAlertOutbox(db), subjects, recorder, tracer, log },
        told.map(({ name, request }) => channelNotifier(name, request, options)),
      ),
    // Without secrets no plan has webhooks.
    ...(secrets.length === 0
      ? []
      : [
          () =>
            startDelivery({ outbox: postgresAfterOutbox(db), store, recorder, tracer, log }, [
              afterNotifier(secrets, options),
            ]),
        ]),
  ];
}

const mapped = <T, R>(found: T | null, into: (found: T) => R): R | null => (found === null ? null : into(found));

interface LoopPorts {
  readonly useCases: UseCases;
  readonly inbound: InboundCommands;
  readonly store: ReturnType<typeof postgresRolloutStore>;
  readonly recorder: Recorder;
  readonly tracer: Tracer;
  readonly audit: AuditLog;
  readonly log: Logger;
  readonly slackSocket: SlackSocket | null;
}

type SlackSocket = (intake: Intake) => Repeating;

/** Loaded only where it is wanted: it brings a WebSocket client of its own. */
export async function socketOf(slack: SlackSettings | null): Promise<SlackSocket | null> {
  if (slack?.appToken === undefined) return null;
  const { appToken, apiUrl } = slack;
  const { slackSocket } = await import('../adapters/notify/slack-socket.ts');
  return (intake) => slackSocket({ ...intake, appToken, apiUrl });
}

export function slackLoops(settings: Settings, db: Database, ports: LoopPorts) {
  const { slack } = settings;
  if (slack === null) return [];
  const { useCases, inbound, store, recorder, audit, tracer, log, slackSocket } = ports;
  const notifier: Notifier = slackNotifier({
    api: slackApi({ token: slack.token, apiUrl: slack.apiUrl, tracer, log }),
    channel: slack.channel,
    messages: slackMessages(db),
    store,
    link: (id) => linkTo(settings)({ kind: 'rollout', id }),
    log,
  });
  const principals = postgresSlackPrincipals(db);
  const respond = slackResponder({ apiUrl: slack.apiUrl });
  return [
    () => startDelivery({ outbox: postgresOutbox(db), store, recorder, tracer, log }, [notifier]),
    () => repeat('commands from Slack', () => inboundStep({ useCases, principals, audit, respond, inbound, log }), log),
    ...(slackSocket === null ? [] : [() => slackSocket({ accept: inbound.accept, log })]),
  ];
}

interface NewsPorts extends Pick<LoopPorts, 'recorder' | 'tracer' | 'log'> {
  readonly fleets: Pick<FleetStore, 'load'>;
  readonly migrations: Pick<MigrationStore, 'load'>;
}

/** What Slack is told of fleet rollouts and of migrations. */
export function newsLoops(settings: Settings, db: Database, { fleets, migrations, recorder, tracer, log }: NewsPorts) {
  const { slack } = settings;
  if (slack === null) return [];
  const options = {
    api: slackApi({ token: slack.token, apiUrl: slack.apiUrl, tracer, log }),
    channel: slack.channel,
    messages: slackMessages(db, 'news'),
  };
  const link = linkTo(settings);
  const subjects: Readonly<Record<NewsKind, (id: string) => Promise<NewsSubject | null>>> = {
    fleet: async (id) => mapped(await fleets.load(id), ({ fleet }) => fleetNews(fleet, link({ kind: 'fleet', id }))),
    migration: async (id) =>
      mapped(await migrations.load(id), ({ migration }) => migrationNews(migration, link({ kind: 'migration', id }))),
  };
  return (['fleet', 'migration'] as const).map((kind) => () => {
    const ports = { outbox: postgresNewsOutbox(db, kind), recorder, log };
    const channel = NEWS_CHANNELS[kind];
    const deliver = () => handOver(ports, channel, (news) => tellNews(options, news, subjects[kind]));
    return deliveryLoop(channel, deliver, log);
  });
}
