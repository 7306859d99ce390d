import { describe, expect, it } from 'vitest';
import { done, refused } from '../../src/app/audit/act.ts';
import type { AuditRow } from '../../src/app/audit/chain.ts';
import { sluice, started, type World, world } from './support.ts';

const ANA = {
  id: 'tok_ana',
  name: 'token ana',
  origin: { via: 'slack', address: null, userAgent: null, requestId: 'slack:1' },
} as const;

async function withRows(count = 3): Promise<World> {
  const w = await world();
  for (let i = 0; i < count; i += 1)
    await w.fake.audit.note(done(ANA, { action: 'rollout.abort', id: `ro_${i}`, reason: 'wrong image' }));
  return w;
}
const rowsOf = (w: World): AuditRow[] => w.fake.audit.rows;
const headOf = (w: World): string => `${rowsOf(w).at(-1)?.seq}:${rowsOf(w).at(-1)?.hash}`;

describe('audit list', () => {
  it('shows who did what, how, on what and why, the newest first', async () => {
    const w = await withRows(2);
    await w.fake.audit.note(refused(ANA, { action: 'rollout.retry', id: 'ro_9', code: 'forbidden' }));
    const { code, stdout } = await sluice(w.url, ['audit', 'list']);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^ROW +TIME \(UTC\) +WHO +HOW +FROM +WHAT +OF +OUTCOME +WHY/);
    expect(lines[1]).toMatch(/^3 .* token ana +slack +- +rollout\.retry +ro_9 +refused: forbidden/);
    expect(lines[2]).toMatch(/^2 .* rollout\.abort +ro_1 +done +wrong image$/);
  });

  it('passes its filters on, and prints documents', async () => {
    const w = await withRows(3);
    const { stdout } = await sluice(w.url, ['audit', 'list', '--object', 'ro_1', '--since', '100000d', '-o', 'json']);
    expect(JSON.parse(stdout).items.map(({ seq }: { seq: number }) => seq)).toEqual([2]);
    const limited = await sluice(w.url, ['audit', 'list', '--limit', '2']);
    expect(limited.stderr).toContain('there are more');
  });
});

describe('audit verify', () => {
  it('ends with 0 and says the head, which proves later that nothing was cut off', async () => {
    const w = await withRows();
    const { code, stdout } = await sluice(w.url, ['audit', 'verify']);
    expect([code, stdout]).toEqual([0, `ok: 3 rows, each follows from the one before\nhead ${headOf(w)}\n`]);
    const kept = headOf(w);
    expect((await sluice(w.url, ['audit', 'verify', '-o', 'name'])).stdout).toBe(`${kept}\n`);
    await w.fake.audit.note(done(ANA, { action: 'rollout.abort', id: 'ro_3' }));
    expect((await sluice(w.url, ['audit', 'verify', '--expect-head', kept])).code).toBe(0);
    rowsOf(w).splice(1);
    expect((await sluice(w.url, ['audit', 'verify'])).code).toBe(0);
    const cut = await sluice(w.url, ['audit', 'verify', '--expect-head', kept]);
    expect([cut.code, cut.stdout]).toEqual([
      14,
      'broken at row 2: row 2 is missing: the chain ends at row 1, and row 3 was there\n',
    ]);
  });

  it.each<[string, (rows: AuditRow[]) => void, number]>([
    ['a row that was changed', (rows) => void rows.splice(1, 1, { ...(rows[1] as AuditRow), actor: 'eve' }), 2],
    ['a row that was removed', (rows) => void rows.splice(1, 1), 2],
    ['rows in another order', (rows) => void rows.splice(0, 2, rows[1] as AuditRow, rows[0] as AuditRow), 1],
  ])('ends with 14 and the first row for %s', async (_, tamper, row) => {
    const w = await withRows();
    tamper(rowsOf(w));
    const { code, stdout } = await sluice(w.url, ['audit', 'verify']);
    expect([code, stdout]).toEqual([14, expect.stringContaining(`broken at row ${row}: row ${row} `)]);
    const json = await sluice(w.url, ['audit', 'verify', '-o', 'json']);
    expect([json.code, JSON.parse(json.stdout)]).toEqual([14, expect.objectContaining({ ok: false, broken: row })]);
  });

  it('does not pass where there is nothing', async () => {
    const w = await withRows(0);
    const { code, stderr } = await sluice(w.url, ['audit', 'verify']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('the audit has no row')]);
  });

  it('reads past the first page', async () => {
    const w = await withRows(1_003);
    expect((await sluice(w.url, ['audit', 'verify'])).stdout).toContain('ok: 1003 rows');
  });

  it('is refused without the role (8), and for a head that is none (2)', async () => {
    const w = await withRows();
    expect((await sluice(w.url, ['audit', 'verify'], { as: 'viewer' })).code).toBe(8);
    const { code, stderr } = await sluice(w.url, ['audit', 'verify', '--expect-head', '3:abc']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('wanted the head of an earlier verify')]);
  });
});

describe('--reason', () => {
  it.each(['promote', 'pause', 'resume', 'abort', 'retry', 'rollback'])('of %s reaches the audit', async (name) => {
    const w = await world();
    const id = await started(w.fake);
    await w.fake.toFirstStep(id);
    await sluice(w.url, [name, id, '--reason', 'because of lunch'], { env: { GITHUB_RUN_ID: '7' } });
    expect(rowsOf(w).at(-1)).toMatchObject({
      action: `rollout.${name}`,
      objectId: id,
      reason: 'because of lunch',
      via: 'ci',
      actor: 'token ci-admin',
    });
  });
});
