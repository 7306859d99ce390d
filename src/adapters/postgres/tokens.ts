/** API tokens: `slc_<id>_<secret>`, shown once. The database holds a hash that no token can be made from. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { done } from '../../app/audit/act.ts';
import type { Administering, Identity, PrincipalRole, Scope, TokenStore } from '../../app/ports.ts';
import { append } from './audit.ts';
import type { Database } from './db.ts';
import { timestampOrNull } from './db.ts';
import { NO_SCOPE, scopeOf } from './scopes.ts';
import { storable } from './text.ts';

/** The fixed prefix lets secret scanners find a leaked token. */
const TOKEN = /^slc_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
const ID_BYTES = 8;
const SECRET_BYTES = 32;

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compared with where no token of that id exists, so that both cases take the same way. */
const NOBODY = Buffer.alloc(32);

/** Valid now, by the database's clock: no cache, so that a revocation counts from the next request on. */
const FIND = `
select name, role, persons, groups, namespaces, services, hash, last_used_at is null or last_used_at < now() - interval '1 minute' as note
from api_token where id = $1 and revoked_at is null and (expires_at is null or expires_at > now())`;

interface TokenRow extends Scope {
  readonly name: string;
  readonly role: PrincipalRole;
  readonly persons: readonly string[];
  readonly groups: readonly string[];
  readonly hash: Buffer;
  /** Its use was not noted within the last minute. */
  readonly note: boolean;
}

const NOTE =
  "update api_token set last_used_at = now() where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')";

/** Nobody said who they are: written down all the same. */
const BY_ITSELF: Administering = { doer: { id: 'sluice', name: 'sluice' }, reason: null };

export const postgresTokenStore = (db: Database): TokenStore => ({
  async authenticate(token) {
    const [, id, secret] = TOKEN.exec(token) ?? [];
    if (id === undefined || secret === undefined) return null;
    const [row] = await db.read<TokenRow>({ name: 'token_find', text: FIND, values: [id] });
    const equal = timingSafeEqual(row?.hash ?? NOBODY, sha256(secret));
    if (row === undefined || !equal) return null;
    if (row.note) await db.rows({ text: NOTE, values: [id] });
    const { name, role, persons, groups } = row;
    return { id: `token:${id}`, name: `token ${name}`, role, persons, groups, ...scopeOf(row) };
  },
  async create(name, role, expiresAt, { doer, reason } = BY_ITSELF, identity: Identity = {}) {
    const { persons = [], groups = [], scope: { namespaces, services } = NO_SCOPE } = identity;
    const id = randomBytes(ID_BYTES).toString('hex');
    const secret = randomBytes(SECRET_BYTES).toString('base64url');
    await db.transaction(async (tx) => {
      await tx.rows({
        text: `insert into api_token (id, name, role, hash, expires_at, persons, groups, namespaces, services)
          values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        values: [
          id,
          storable(name),
          role,
          sha256(secret),
          timestampOrNull(expiresAt),
          persons.map(storable),
          groups.map(storable),
          namespaces,
          services,
        ],
      });
      await append(tx, done(doer, { action: 'token.create', id, reason }));
    });
    return { id, token: `slc_${id}_${secret}` };
  },
  revoke: (id, { doer, reason } = BY_ITSELF) =>
    db.transaction(async (tx) => {
      const rows = await tx.rows({
        text: 'update api_token set revoked_at = now() where id = $1 and revoked_at is null returning 1 as revoked',
        values: [id],
      });
      if (rows.length === 0) return false;
      await append(tx, done(doer, { action: 'token.revoke', id, reason }));
      return true;
    }),
  list: () =>
    db.read({
      text: `select id, name, role, persons, groups, namespaces, services, created_at as "createdAt", expires_at as "expiresAt", revoked_at as "revokedAt", last_used_at as "lastUsedAt"
        from api_token order by created_at, id`,
      values: [],
    }),
});
