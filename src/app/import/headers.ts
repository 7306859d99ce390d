/** Matches on headers -> the route of testers in a plan. */
import type { Field } from './field.ts';
import type { PlanDocument } from './note.ts';

/** ^(.*?;)?(name=value)(;.*)?$ and its like: how a cookie is asked for where only headers can be. */
const COOKIE = /^\^?\(?(?:\.\*\??;?)?\)?\??\(?([\w-]+)=([\w.-]+)\)?(?:\(;?\.\*\)\??)?\$?$/;

export type HeaderMatch =
  | { readonly ok: true; readonly route: PlanDocument }
  | { readonly ok: false; readonly why: string };

/** One header with exact, prefix or regex. */
export function headerMatch(name: string, match: Field): HeaderMatch {
  const ways = ['exact', 'prefix', 'regex'].flatMap((way) => {
    const value = match.at(way).text();
    return value === undefined ? [] : [{ way, value }];
  });
  const [only, ...more] = ways;
  if (only === undefined || more.length > 0)
    return { ok: false, why: `of a header a plan compares one of exact, prefix and regex` };
  const header = name.toLowerCase();
  if (header === 'cookie') {
    const [, cookie, value] = COOKIE.exec(only.value) ?? [];
    return cookie !== undefined && value !== undefined && only.way !== 'prefix'
      ? { ok: true, route: { cookie, exact: value } }
      : { ok: false, why: 'of a cookie a plan compares name and value: this expression is not of the form name=value' };
  }
  if (['host', 'connection', 'content-length', 'transfer-encoding'].includes(header) || header.startsWith(':'))
    return { ok: false, why: `a plan does not route by the header ${header}` };
  return { ok: true, route: { header, [only.way]: only.value } };
}
