/** The pages of the audit, read one after the other. */
import type { AuditRow } from '../../app/audit/chain.ts';
import type { AuditRowBody } from '../../http/audit-schemas.ts';
import type { Api, Pages } from './api.ts';

export type { AuditRowBody };

/** A page of the chain: large, as all of it is read. */
const PAGE = 1_000;

interface Page {
  readonly items: readonly AuditRowBody[];
  readonly nextCursor: string | null;
}

const OF = 'the audit';

export async function newest(api: Api, query: URLSearchParams, most: number): Promise<Pages<AuditRowBody>> {
  const items: AuditRowBody[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = await api.read(pathOf(query, Math.min(PAGE, most - items.length), cursor), OF);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null && items.length < most);
  return { items, more: cursor !== null };
}

/** Every row, the oldest first. What comes while it is read is read, too. */
export async function* wholeChain(api: Api): AsyncGenerator<AuditRow> {
  const query = new URLSearchParams({ order: 'oldest' });
  let cursor: string | null = null;
  do {
    const page: Page = await api.read(pathOf(query, PAGE, cursor), OF);
    for (const { at, ...row } of page.items) yield { ...row, at: Date.parse(at) };
    cursor = page.nextCursor;
  } while (cursor !== null);
}

function pathOf(query: URLSearchParams, limit: number, cursor: string | null): string {
  const all = new URLSearchParams(query);
  all.set('limit', String(limit));
  if (cursor !== null) all.set('cursor', cursor);
  return `/audit?${all}`;
}
