/** A process that delivers to the channels of the test until it is killed. */
import { channelNotifier } from '../../src/adapters/notify/alerts.ts';
import { openChannels } from '../../src/adapters/notify/open-channels.ts';
import { openOutbound } from '../../src/adapters/outbound/post.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresAlertOutbox, postgresDeliveryLog } from '../../src/adapters/postgres/deliveries.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { loadChannels } from '../../src/adapters/registry.ts';
import { startAlerts } from '../../src/app/deliver.ts';
import { newsWorld, subjectsIn } from '../support/news-world.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';

const [url = '', channels = '[]'] = process.argv.slice(2);
const db = openDatabase({ url, log: quietLog });
const store = postgresRolloutStore(db, { channels: [], log: quietLog });
const subjects = subjectsIn(store, newsWorld(db));
const outbound = openOutbound({ allowed: { ranges: ['127.0.0.1/32'], suffixes: [] } });
const log = postgresDeliveryLog(db);
const notifiers = openChannels(JSON.parse(channels), await loadChannels(), outbound).map(({ name, request }) =>
  channelNotifier(name, request, { outbound, log, link: () => null, now: Date.now }),
);
const outbox = postgresAlertOutbox(db);
startAlerts({ outbox, subjects, recorder: deafRecorder, log: quietLog, random: () => 0 }, notifiers, 20);
