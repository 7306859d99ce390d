/**
 * PagerDuty, by its Events API v2: one incident per rollout, fleet rollout or migration, opened where a person is needed or traffic goes back, resolved
 * when it goes on or has ended. An end as `failed` stays open: stable could not be restored, and nobody but a person will.
 * What a rollout leaves beside the route is an incident of its own, which no end resolves.
 */
import { z } from 'zod';
import { type Alert, defineChannel, endedAs, JSON_HEADERS } from '../channel.ts';

const EVENTS = 'https://events.pagerduty.com/v2/enqueue';
const SUMMARY = 1024;

type Severity = 'critical' | 'error' | 'warning' | 'info';

/** null: it is resolved. */
function severityOf(alert: Alert): Severity | null {
  switch (alert.kind) {
    case 'goes_on':
      return null;
    case 'ended':
      return endedAs(alert) === 'failed' ? 'critical' : null;
    case 'going_back':
      return 'error';
    case 'needs_person':
      // By plan, and no trouble: services may be set to low urgency for it.
      return alert.fact.data['cause'] === 'approval' ? 'info' : 'warning';
    default:
      return alert.kind satisfies never;
  }
}

export default defineChannel({
  kind: 'pagerduty',
  settings: z.strictObject({
    routingKey: z.string().regex(/^[A-Za-z0-9]{16,64}$/, 'wanted the integration key of an Events API v2 integration'),
    url: z.url({ protocol: /^https?$/, error: 'wanted an address' }).default(EVENTS),
  }),
  request({ routingKey, url }, alert) {
    const severity = severityOf(alert);
    const { subject, fact, link } = alert;
    const event = {
      routing_key: routingKey,
      event_action: severity === null ? 'resolve' : 'trigger',
      dedup_key: fact.type === 'preparation_left' ? `sluice:${subject.id}:left` : `sluice:${subject.id}`,
      ...(severity === null
        ? {}
        : {
            payload: {
              summary: `${subject.title}: ${fact.message}`.slice(0, SUMMARY),
              source: subject.place,
              severity,
              timestamp: new Date(fact.at).toISOString(),
              component: subject.component,
              group: subject.namespace,
              class: fact.type,
              custom_details: { [subject.kind]: subject.id, message: fact.message, labels: subject.labels },
            },
            client: 'Sluice',
            ...(link === null ? {} : { client_url: link, links: [{ href: link, text: 'Open' }] }),
          }),
    };
    return { url, headers: JSON_HEADERS, body: JSON.stringify(event) };
  },
});
