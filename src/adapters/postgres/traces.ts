/** Failing traces of a rollback, and how the search for them ended. */
import type { FailingTrace, KeptTraces, TraceSearch, TraceStore } from '../../app/ports.ts';
import { TRACES } from '../../app/traces.ts';
import type { Instant } from '../../domain/plan.ts';
import type { Database } from './db.ts';
import { timestamp } from './db.ts';
import { storable, storableJson } from './text.ts';

/** For a rollout that the retention has deleted meanwhile there is nothing to keep. */
const KEEP = `
insert into trace (rollout_id, fact_seq, trace_id, at, service, operation, status, duration_ms, known_by, summary, link)
select $1, $2, t."traceId", to_timestamp(t.at / 1000), t.service, t.operation, t.status, t.duration, t."knownBy", t.summary, t.link
from json_to_recordset($3) as t (
  "traceId" text, at float8, service text, operation text, status text, duration float8, "knownBy" text, summary text, link text)
where exists (select from rollout where id = $1)
on conflict do nothing`;

const CONCLUDE = `
insert into trace_search (rollout_id, fact_seq, at, result, message, searched_from, searched_to, link)
select $1, $2, $3::timestamptz, $4, $5, $6::timestamptz, $7::timestamptz, $8
where exists (select from rollout where id = $1)
on conflict do nothing`;

interface TraceRow extends Omit<FailingTrace, 'traceId' | 'knownBy'> {
  readonly trace_id: string;
  readonly known_by: string;
}
interface SearchRow {
  readonly at: Instant;
  readonly result: TraceSearch['result'];
  readonly message: string;
  readonly searched_from: Instant;
  readonly searched_to: Instant;
  readonly link: string;
}

export const postgresTraceStore = (db: Database): TraceStore => ({
  async keep(rolloutId, factSeq, traces) {
    if (traces.length > 0) await db.rows({ text: KEEP, values: [rolloutId, factSeq, storableJson(traces)] });
  },
  async conclude(rolloutId, factSeq, { at, result, message, from, to, link }) {
    const values = [
      rolloutId,
      factSeq,
      timestamp(at),
      result,
      storable(message),
      timestamp(from),
      timestamp(to),
      storable(link),
    ];
    await db.rows({ text: CONCLUDE, values });
  },
  of: (rolloutId) => keptOf(db, rolloutId),
});

async function keptOf(db: Database, rolloutId: string): Promise<KeptTraces> {
  const traces = await db.read<TraceRow>({
    text: `select trace_id, at, service, operation, status, duration_ms as duration, known_by, summary, link
      from trace where rollout_id = $1 order by at desc, trace_id`,
    values: [rolloutId],
  });
  const [search] = await db.read<SearchRow>({
    text: `select at, result, message, searched_from, searched_to, link
      from trace_search where rollout_id = $1 order by fact_seq desc limit 1`,
    values: [rolloutId],
  });
  const waiting = await db.read({
    text: 'select 1 as one from outbox where channel = $1 and rollout_id = $2 and delivered_at is null limit 1',
    values: [TRACES, rolloutId],
  });
  return {
    traces: traces.map(({ trace_id, known_by, ...rest }) => ({ ...rest, traceId: trace_id, knownBy: known_by })),
    search:
      search === undefined
        ? null
        : {
            at: search.at,
            result: search.result,
            message: search.message,
            from: search.searched_from,
            to: search.searched_to,
            link: search.link,
          },
    waiting: waiting.length > 0,
  };
}
