/** What stands in Slack, and who may post what is missing. */
import type { SlackMessage, SlackMessages } from '../../app/ports.ts';
import type { Instant } from '../../domain/plan.ts';
import type { Database } from './db.ts';

interface Row {
  readonly key: string;
  readonly channel: string;
  readonly ts: string | null;
  readonly asks: boolean;
  readonly begun_at: Instant;
}

/** Of rollouts, or of fleet rollouts and migrations. */
const TABLES = {
  rollouts: { table: 'slack_message', of: 'rollout_id' },
  news: { table: 'slack_news', of: 'about' },
} as const;

export function postgresSlackMessages(db: Database, about: keyof typeof TABLES = 'rollouts'): SlackMessages {
  const { table, of } = TABLES[about];
  return {
    async of(rolloutId) {
      const rows = await db.read<Row>({
        text: `
        select key, channel, ts, asks, begun_at
        from ${table}
        where ${of} = $1
        order by begun_at, key`,
        values: [rolloutId],
      });
      return rows.map(({ begun_at, ...row }): SlackMessage => ({ ...row, begunAt: begun_at }));
    },

    async begin(rolloutId, key, channel, lease) {
      // One statement: of two workers, one inserts and the other finds the lease. `xmax = 0` tells an insert from an update.
      const [row] = await db.rows<{ fresh: boolean }>({
        text: `
        insert into ${table} as message (key, ${of}, channel, leased_until)
        values ($1, $2, $3, now() + $4 * interval '1 millisecond')
        on conflict (key) do update
        set leased_until = excluded.leased_until
        where message.ts is null
          and message.leased_until <= now()
        returning xmax = 0 as fresh`,
        values: [key, rolloutId, channel, lease],
      });
      if (row === undefined) return 'busy';
      return row.fresh ? 'mine' : 'unknown';
    },

    async posted(key, channel, ts, asks) {
      await db.rows({
        text: `
        update ${table}
        set channel = $2, ts = $3, asks = $4
        where key = $1`,
        values: [key, channel, ts, asks],
      });
    },

    async release(key, stands) {
      const text =
        stands === 'no'
          ? `delete from ${table} where key = $1`
          : `update ${table} set leased_until = now() where key = $1`;
      await db.rows({ text, values: [key] });
    },
  };
}
