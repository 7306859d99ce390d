/**
 * Which rules and filters of an HTTPRoute are a rollout's own. A rule has a name only in newer releases of the API, and an
 * older controller ignores a route with a field that it does not know, so the mark is an annotation: what was added, as it
 * was written, in the same patch. A mark alone proves nothing: what it speaks of counts as ours only while it leads who was
 * meant to where it was meant.
 */
import type { Temporary } from '../../domain/temporary.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { Json } from './json.ts';
import { isRecord, listAt, numberAt, textAt } from './json.ts';
import type { Found } from './temporary-rules.ts';

/** Prefix as of the decision's: a change of it makes no controller act. */
export const TEMPORARY_ANNOTATION = 'sluice.dev/temporary';

interface Marked extends Found {
  /** Of the added thing in the decision's list: several moved rules have a part of it each. */
  readonly place: number;
  /** Position of the rule when it was written: chooses among rules that say the same. */
  readonly at: number;
}

/** A rule of our own. */
export interface RuleMark extends Marked {
  readonly kind: 'headerRoute';
  readonly matches: readonly unknown[];
  /** The only one that it leads to. */
  readonly backend: Json;
}

/** A filter of our own in the rule whose weights move. */
export interface FilterMark extends Marked {
  readonly kind: 'mirror';
  readonly filter: Json;
  /** made: the rule had no list of filters before. */
  readonly list: 'made' | 'found';
}

export type Mark = RuleMark | FilterMark;

export interface OwnFilter {
  /** Positions of the rule, and of the filter in it. */
  readonly rule: number;
  readonly filter: number;
  readonly mark: FilterMark;
}

/** What is there of ours. */
export interface Own {
  /** By the rule's position. */
  readonly rules: ReadonlyMap<number, RuleMark>;
  readonly filters: readonly OwnFilter[];
}

export const encodeMarks = (marks: readonly Mark[]): string => JSON.stringify(marks);

export function ownIn(object: KubeObject): Own {
  const rules = new Map<number, RuleMark>();
  const filters: OwnFilter[] = [];
  const all = listAt(object.spec, 'rules');
  for (const mark of marksOn(object)) {
    if (mark.kind === 'headerRoute') {
      const index = nearest(
        mark.at,
        positions(all).filter((i) => !rules.has(i) && leadsAs(all[i], mark)),
      );
      if (index !== null) rules.set(index, mark);
      continue;
    }
    const free = (rule: number): number =>
      listAt(all[rule], 'filters').findLastIndex(
        (filter, at) => isAsWritten(filter, mark.filter) && !filters.some((f) => f.rule === rule && f.filter === at),
      );
    const rule = nearest(
      mark.at,
      positions(all).filter((i) => free(i) !== -1),
    );
    if (rule !== null) filters.push({ rule, filter: free(rule), mark });
  }
  return { rules, filters };
}

/** One per thing that was added, however many rules it took. */
export function foundOf({ rules, filters }: Own): readonly Found[] {
  const seen = new Map<string, Found>();
  for (const { rollout, kind, place } of [...rules.values(), ...filters.map(({ mark }) => mark)])
    seen.set(`${rollout} ${kind} ${place}`, { rollout, kind });
  return [...seen.values()];
}

/** Does the rule lead exactly these requests to that backend alone? Its filters and timeouts are not looked at. */
export function leadsAs(rule: unknown, { matches, backend }: Pick<RuleMark, 'matches' | 'backend'>): boolean {
  const [only, ...others] = listAt(rule, 'backendRefs');
  return others.length === 0 && isAsWritten(only, backend) && isAsWritten(listAt(rule, 'matches'), matches);
}

/** All that was written is there. The server adds defaults, which differ from release to release, and people add fields. */
function isAsWritten(found: unknown, written: unknown): boolean {
  if (Array.isArray(written))
    return (
      Array.isArray(found) &&
      found.length === written.length &&
      written.every((one, index) => isAsWritten(found[index], one))
    );
  if (!isRecord(written)) return found === written;
  return isRecord(found) && Object.entries(written).every(([field, value]) => isAsWritten(found[field], value));
}

const positions = (list: readonly unknown[]): readonly number[] => list.map((_, index) => index);

const nearest = (at: number, candidates: readonly number[]): number | null =>
  candidates.toSorted((a, b) => Math.abs(a - at) - Math.abs(b - at))[0] ?? null;

// ── a rule's list of filters ────────────────────────────────────────────────────────────────────────────────────────

export interface FilterList {
  readonly there: boolean;
  /** Positions of ours. */
  readonly ours: readonly number[];
  /** Not there before ours: goes with them, as long as nobody else has put a filter in. */
  readonly made: boolean;
}

export function filterList(rule: unknown, { filters }: Own, index: number): FilterList {
  const own = filters.filter((one) => one.rule === index);
  const there = isRecord(rule) && rule['filters'] !== undefined;
  const ownAlone = own.length === listAt(rule, 'filters').length && own.some(({ mark }) => mark.list === 'made');
  return { there, ours: own.map(({ filter }) => filter), made: !there || ownAlone };
}

// ── the annotation ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Anybody may write an annotation: what cannot be read marks nothing. */
function marksOn(object: KubeObject): readonly Mark[] {
  const text = object.metadata.annotations?.[TEMPORARY_ANNOTATION];
  if (typeof text !== 'string') return [];
  const parsed = parse(text);
  return Array.isArray(parsed) ? parsed.flatMap(markOf) : [];
}

function markOf(entry: unknown): readonly Mark[] {
  if (!isRecord(entry)) return [];
  const rollout = textAt(entry, 'rollout');
  const place = numberAt(entry, 'place');
  const at = numberAt(entry, 'at');
  if (rollout === null || place === null || at === null) return [];
  const { kind, matches, backend, filter, list } = entry as { readonly kind?: Temporary['kind'] } & Json;
  const marked = { rollout, place, at };
  if (kind === 'headerRoute' && Array.isArray(matches) && matches.length > 0 && namesOne(backend))
    return [{ ...marked, kind, matches, backend }];
  if (kind === 'mirror' && isRecord(filter) && filter['type'] === 'RequestMirror')
    return [{ ...marked, kind, filter, list: list === 'made' ? 'made' : 'found' }];
  return [];
}

/** One without a name would be every backend. */
const namesOne = (backend: unknown): backend is Json => textAt(backend, 'name') !== null;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
