/** Codes for sessions of the command line. Taken by deleting the row, so that of two who bring one code only one is heard. */
import { createHash } from 'node:crypto';
import type { LoginCodes, LoginGrant } from '../../app/trust/ports.ts';
import type { Instant } from '../../domain/plan.ts';
import type { Database } from './db.ts';
import { timestamp } from './db.ts';
import { storableJson } from './text.ts';

const KEEP = `
with gone as (delete from login_code where expires_at < now())
insert into login_code (hash, challenge, person, until, expires_at)
values ($1, $2, $3, $4, now() + $5 * interval '1 millisecond')`;
const TAKE = `
delete from login_code where hash = $1 returning challenge, person, until, expires_at > now() as fresh`;

interface Row extends Pick<LoginGrant, 'challenge' | 'person'> {
  readonly until: Instant;
  readonly fresh: boolean;
}

const hashOf = (code: string): Buffer => createHash('sha256').update(code).digest();

export const postgresLoginCodes = (db: Database): LoginCodes => ({
  async keep(code, { challenge, person, until }, lasts) {
    await db.rows({ text: KEEP, values: [hashOf(code), challenge, storableJson(person), timestamp(until), lasts] });
  },
  async take(code) {
    const [row] = await db.rows<Row>({ text: TAKE, values: [hashOf(code)] });
    if (row === undefined || !row.fresh) return null;
    const { challenge, person, until } = row;
    return { challenge, person, until };
  },
});
