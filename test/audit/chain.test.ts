/** Whatever is done to rows that were written, verify finds it, and names the first row that is not as it was. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../src/app/audit/act.ts';
import { AUDIT_ACTIONS, done, refused, VIAS } from '../../src/app/audit/act.ts';
import type { AuditRow, Broken, Head } from '../../src/app/audit/chain.ts';
import { BEFORE_ALL, bytesOf, cutOff, follow, hashAfter, isBroken, unlike } from '../../src/app/audit/chain.ts';
import { chained } from '../support/audit.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const textOrNull = fc.option(text);
const entry: fc.Arbitrary<AuditEntry> = fc.record({
  actorId: text,
  actor: text,
  via: fc.constantFrom(...VIAS),
  address: textOrNull,
  userAgent: textOrNull,
  action: fc.constantFrom(...AUDIT_ACTIONS),
  objectKind: text,
  objectId: textOrNull,
  made: textOrNull,
  reason: textOrNull,
  requestId: textOrNull,
  outcome: fc.constantFrom('done', 'refused'),
  code: textOrNull,
  omitted: fc.nat(1000),
});
const chain = fc.array(entry, { minLength: 2, maxLength: 12 }).map((entries) => chained(entries));

/** As `sluice audit verify` walks. */
function verified(rows: readonly AuditRow[], kept: Head | null = null): Head | Broken {
  let head = BEFORE_ALL;
  for (const row of rows) {
    const next = follow(head, row);
    if (isBroken(next)) return next;
    const other = kept === null ? null : unlike(kept, next);
    if (other !== null) return other;
    head = next;
  }
  return (kept === null ? null : cutOff(kept, head)) ?? head;
}
const headOf = (rows: readonly AuditRow[]): Head => {
  const { seq, hash } = rows.at(-1) as AuditRow;
  return { seq, hash };
};
/** Somebody who knows how hashes are made, and makes them anew from this place on. */
const rechained = (rows: readonly AuditRow[], from: number): AuditRow[] => {
  const sound = rows.slice(0, from);
  for (const row of rows.slice(from)) {
    const renumbered = { ...row, seq: sound.length + 1 };
    sound.push({ ...renumbered, hash: hashAfter(sound.at(-1)?.hash ?? BEFORE_ALL.hash, renumbered) });
  }
  return sound;
};

const FIELDS = Object.keys(chained([done({ id: 'a', name: 'a' }, { action: 'rollout.start', id: 'r' })])[0] ?? {});
const changed = (row: AuditRow, field: string): AuditRow => {
  const value = (row as unknown as Record<string, unknown>)[field];
  const other = typeof value === 'number' ? value + 1 : field === 'hash' ? 'f'.repeat(64) : `${value ?? ''}x`;
  return { ...row, [field]: other };
};

describe('the chain', () => {
  it('is whole as it was written, to its head', () => {
    fc.assert(
      fc.property(chain, (rows) => {
        expect(verified(rows, headOf(rows))).toEqual(headOf(rows));
      }),
    );
  });

  it.each(FIELDS)('shows a change of %s, at the very row', (field) => {
    fc.assert(
      fc.property(chain, fc.nat(), (rows, at) => {
        const index = at % rows.length;
        const forged = rows.with(index, changed(rows[index] as AuditRow, field));
        const found = verified(forged);
        expect(found).toMatchObject({ broken: index + 1 });
      }),
    );
  });

  it('shows a row that was taken out, also where those after it were numbered anew', () => {
    fc.assert(
      fc.property(chain, fc.nat(), fc.boolean(), (rows, at, renumber) => {
        const index = at % (rows.length - 1);
        const left = rows.toSpliced(index, 1).map((row, i) => (renumber ? { ...row, seq: i + 1 } : row));
        expect(verified(left)).toMatchObject({ broken: index + 1 });
      }),
    );
  });

  it('shows two rows in another order, and a row that was put in', () => {
    fc.assert(
      fc.property(chain, entry, fc.nat(), (rows, strange, at) => {
        const index = at % (rows.length - 1);
        const [one, two] = [rows[index] as AuditRow, rows[index + 1] as AuditRow];
        expect(isBroken(verified(rows.with(index, two).with(index + 1, one)))).toBe(true);
        const swapped = rows.with(index, { ...two, seq: one.seq }).with(index + 1, { ...one, seq: two.seq });
        expect(verified(swapped)).toMatchObject({ broken: index + 1 });
        const forged = { ...strange, seq: index + 1, at: 5, hash: 'a'.repeat(64) };
        expect(isBroken(verified(rows.toSpliced(index, 0, forged)))).toBe(true);
        const followed = rows.slice(index).map((row) => ({ ...row, seq: row.seq + 1 }));
        expect(verified([...rows.slice(0, index), forged, ...followed])).toMatchObject({ broken: index + 1 });
      }),
    );
  });

  it('made anew from any row on is whole in itself, and not the one whose head was kept', () => {
    fc.assert(
      fc.property(chain, fc.nat(), (rows, at) => {
        const index = at % rows.length;
        const forged = rechained(rows.with(index, changed(rows[index] as AuditRow, 'actor')), index);
        expect(isBroken(verified(forged))).toBe(false);
        expect(verified(forged, headOf(rows))).toMatchObject({ broken: rows.length });
      }),
    );
  });

  it('that was cut off is whole in itself, and does not reach the head that was kept', () => {
    fc.assert(
      fc.property(chain, fc.nat(), (rows, at) => {
        const left = rows.slice(0, at % rows.length);
        expect(isBroken(verified(left))).toBe(false);
        expect(verified(left, headOf(rows))).toMatchObject({ broken: left.length + 1 });
      }),
    );
  });

  it('has other bytes for every other row: no text can pass for two fields', () => {
    const row = chained([done({ id: 'a', name: 'b' }, { action: 'rollout.start', id: null })])[0] as AuditRow;
    const other = { ...row, actorId: 'a,1:b' };
    expect(bytesOf(other)).not.toBe(bytesOf(row));
    expect(bytesOf({ ...row, objectId: '-' })).not.toBe(bytesOf({ ...row, objectId: null }));
  });
});

describe('an entry', () => {
  it('holds no token, wherever one was pasted', () => {
    const token = `slc_0123456789abcdef_${'s'.repeat(43)}`;
    const origin = { via: 'api', address: token, userAgent: `curl ${token}`, requestId: token } as const;
    const doer = { id: token, name: `token ${token}`, origin };
    const what = { action: 'rollout.abort', id: token, made: token, reason: `because ${token}!`, code: 'x' } as const;
    expect(JSON.stringify([done(doer, what), refused(doer, what)])).not.toContain('slc_0123');
  });

  it('is small and one line, whatever was sent, and never cut within a character', () => {
    const long = `a\n\u0000${'👩'.repeat(900)}`;
    const { reason, actor } = done({ id: 'a', name: long }, { action: 'rollout.abort', id: 'r', reason: long });
    for (const kept of [reason ?? '', actor]) {
      expect([...kept]).toHaveLength(500);
      expect(kept).toMatch(/^a {2}👩/u);
      expect(kept.isWellFormed()).toBe(true);
    }
  });
});
