/** `list`: what the API lists, newest first, as a table or as documents. */
import { PATIENCE } from './call.ts';
import type { Call } from './command.ts';
import type { Ending } from './exit-codes.ts';
import { usage } from './failure.ts';
import { printDocument } from './show/data.ts';
import type { Line } from './show/line.ts';
import { cut } from './show/line.ts';
import { limitOf } from './times.ts';
import type { Collection } from './wire/api.ts';

export interface Listing<B> {
  readonly collection: Collection;
  /** "rollouts". */
  readonly plural: string;
  readonly query: URLSearchParams;
  /** `now`: by the server's clock. */
  rows(items: readonly B[], now: number): readonly Line[];
}

export async function list<B extends { readonly id: string }>(call: Call, listing: Listing<B>): Promise<Ending> {
  const { output, terminal } = call;
  const limit = limitOf(call.text('limit'));
  const api = await call.api(PATIENCE.look);
  const { items, more } = await api.listOf<B>(listing.collection, listing.query, limit);
  const ids = items.map(({ id }) => id);
  if (output !== null) await printDocument(terminal, output, { items, more }, ids);
  else if (items.length === 0) terminal.note(`no ${listing.plural}`, 'quiet');
  else {
    const now = Date.now() + (api.wire.clockAhead ?? 0);
    const width = terminal.live ? (terminal.stdout.columns ?? 80) : Number.POSITIVE_INFINITY;
    for (const line of listing.rows(items, now)) terminal.line(cut(line, width, terminal.unicode ? '…' : '~'));
    if (more) terminal.note(`there are more: --limit ${limit * 2}`, 'quiet');
  }
  return 'done';
}

/** `live`: the states that --live stands for; `filters`: options that are parameters of the same name. */
export function queryOf(
  call: Call,
  { live, filters }: { readonly live: readonly string[]; readonly filters: readonly string[] },
): URLSearchParams {
  const statuses = call.texts('status').flatMap((text) => text.split(','));
  if (call.flag('live') && statuses.length > 0) throw usage('list: --live and --status exclude each other');
  const status = call.flag('live') ? live : statuses;
  const query = new URLSearchParams();
  if (status.length > 0) query.set('status', status.join(','));
  for (const name of filters) {
    const value = call.text(name);
    if (value !== undefined) query.set(name, value);
  }
  return query;
}
