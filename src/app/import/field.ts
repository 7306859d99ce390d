/**
 * Reads a document field by field, and keeps a note of each. What nobody took a note of is told at the end as unknown, so
 * that no field is dropped in silence.
 */
import type { Note, SourceDocument, Verdict } from './note.ts';
import { child, isRecord, isWithin, pointersIn } from './pointer.ts';

export interface Field {
  readonly pointer: string;
  readonly value: unknown;
  /** Also of what is not there: nothing is noted of that. */
  at(...keys: readonly (string | number)[]): Field;
  has(): boolean;
  items(): readonly Field[];
  members(): readonly (readonly [string, Field])[];
  text(): string | undefined;
  number(): number | undefined;
  flag(): boolean;
  maps(message: string): void;
  differs(message: string): void;
  ignored(message: string): void;
  unsupported(message: string): void;
  /** Unsupported, and the rollout would be less safe without it. */
  blocks(message: string): void;
}

export interface Reading {
  readonly root: Field;
  readonly kind: string;
  readonly name: string;
  /** Every note, in the order of the document; of the fields that nobody noted, that they are unknown. */
  notes(): readonly Note[];
}

/** They say which document it is: every note's source has them. */
const IDENTITY = ['/apiVersion', '/kind'];

export function readingOf({ value, lineOf }: SourceDocument, document: number): Reading {
  const taken: Note[] = [];
  const kind = textAt(value, 'kind') ?? '';
  const name = textAt(isRecord(value) ? value['metadata'] : undefined, 'name') ?? '';
  const noteOf = (pointer: string, verdict: Verdict, message: string, blocks = false): Note => ({
    source: { document, kind, name, pointer, line: lineOf(pointer) },
    verdict,
    message,
    blocks,
  });
  const take = (field: Field, verdict: Verdict, message: string, blocks = false): void => {
    if (field.has()) taken.push(noteOf(field.pointer, verdict, message, blocks));
  };
  const root = fieldOf(value, '', take);
  return {
    root,
    kind,
    name,
    notes() {
      const pointers = [...pointersIn(value)];
      // A note on the whole speaks for no field.
      const spoken = taken.map(({ source }) => source.pointer).filter((pointer) => pointer !== '');
      const unknown = pointers.filter(
        ({ pointer, leaf }) =>
          leaf && !IDENTITY.includes(pointer) && !spoken.some((ancestor) => isWithin(pointer, ancestor)),
      );
      const rest = unknown.map(({ pointer, empty }) =>
        empty
          ? noteOf(pointer, 'ignored', 'nothing is set')
          : noteOf(pointer, 'unsupported', 'not known to this import: nothing is made of it'),
      );
      const place = new Map(pointers.map(({ pointer }, index) => [pointer, index]));
      const placeOf = ({ source }: Note): number => place.get(source.pointer) ?? 0;
      // What two metrics share is read twice.
      const once = new Map([...taken, ...rest].map((note) => [`${note.source.pointer}\n${note.message}`, note]));
      return [...once.values()].toSorted((a, b) => placeOf(a) - placeOf(b));
    },
  };
}

const textAt = (value: unknown, key: string): string | undefined => {
  const found = isRecord(value) ? value[key] : undefined;
  return typeof found === 'string' ? found : undefined;
};

type Take = (field: Field, verdict: Verdict, message: string, blocks?: boolean) => void;

function fieldOf(value: unknown, pointer: string, take: Take): Field {
  const field: Field = {
    pointer,
    value,
    at(...keys) {
      const [key, ...rest] = keys;
      return key === undefined ? field : fieldOf(memberOf(value, key), child(pointer, key), take).at(...rest);
    },
    has: () => value !== undefined && value !== null,
    items: () => (Array.isArray(value) ? value.map((item, at) => fieldOf(item, child(pointer, at), take)) : []),
    members: () =>
      isRecord(value) ? Object.entries(value).map(([key, of]) => [key, fieldOf(of, child(pointer, key), take)]) : [],
    text: () => (typeof value === 'string' && value !== '' ? value : undefined),
    number: () => numberOf(value),
    flag: () => value === true,
    maps: (message) => take(field, 'maps', message),
    differs: (message) => take(field, 'differs', message),
    ignored: (message) => take(field, 'ignored', message),
    unsupported: (message) => take(field, 'unsupported', message),
    blocks: (message) => take(field, 'unsupported', message, true),
  };
  return field;
}

const memberOf = (value: unknown, key: string | number): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;

/** Kubernetes writes some numbers as text ("20", "{{args.count}}" once it is filled in). */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : undefined;
}

/** The same words for several fields that are alike. */
export interface Rule {
  readonly fields: readonly string[];
  readonly verdict: Exclude<Verdict, 'maps'> | 'blocks';
  readonly message: string;
}

export function applyRules(parent: Field, rules: readonly Rule[]): void {
  for (const { fields, verdict, message } of rules)
    for (const name of fields) parent.at(...name.split('/'))[verdict](message);
}
