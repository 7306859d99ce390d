import { describe, expect, it } from 'vitest';
import { personOf, principalOfPerson } from '../../src/app/trust/login.ts';
import type { LoginTrust } from '../../src/app/trust/trust.ts';

const trust: LoginTrust = {
  issuer: 'https://idp.example.com',
  clientId: 'sluice',
  label: 'x',
  scopes: ['openid'],
  groupsClaim: 'groups',
  session: 1,
  roles: [
    { group: 'platform', role: 'admin', scope: null },
    { group: 'shop', role: 'approver', scope: { namespaces: ['shop'], services: null } },
  ],
};
const open: LoginTrust = { ...trust, roles: [...trust.roles, { group: null, role: 'viewer', scope: null }] };
const of = (policy: LoginTrust, claims: object) => {
  const person = personOf(policy, { sub: 'u-1', ...claims });
  return person === null ? null : principalOfPerson(policy, person);
};

describe('who signs in', () => {
  it.each<[string, LoginTrust, object, string | null]>([
    ['the first group of the policy decides', trust, { groups: ['shop', 'platform'] }, 'admin'],
    ['one group as plain text', trust, { groups: 'shop' }, 'approver'],
    ['no group that is named', trust, { groups: ['else'] }, null],
    ['groups in no form that is known', trust, { groups: { shop: true } }, null],
    ['no groups', trust, {}, null],
    ['everybody, where the policy says so', open, {}, 'viewer'],
    [
      'a name with its namespace',
      { ...trust, groupsClaim: 'https://example.com/groups' },
      { 'https://example.com/groups': ['shop'] },
      'approver',
    ],
    [
      'a place within',
      { ...trust, groupsClaim: '/realm_access/roles' },
      { realm_access: { roles: ['shop'] } },
      'approver',
    ],
    ['a place that leads nowhere', { ...trust, groupsClaim: '/constructor/name' }, { groups: ['shop'] }, null],
  ])('has a role: %s', (_, policy, claims, role) => {
    expect(of(policy, claims)?.role ?? null).toBe(role);
  });

  it.each([
    [{ email: 'ana@example.com', preferred_username: 'ana' }, 'user ana@example.com'],
    [{ email: 'admin@example.com', email_verified: false, preferred_username: 'mallory' }, 'user mallory'],
    [{ email: '\u202e\n' }, 'user u-1'],
    [{}, 'user u-1'],
  ])('is called %j', (claims, name) => {
    expect(of(open, claims)).toMatchObject({ id: 'user:u-1', name, kind: 'person' });
  });

  it('is nobody without a subject', () => {
    expect(personOf(open, { groups: ['platform'] })).toBeNull();
  });

  it('loses the role with the group, the client or the provider', () => {
    const person = personOf(trust, { sub: 'u-1', groups: ['shop'] });
    if (person === null) throw new Error('nobody');
    expect(principalOfPerson(trust, person)).toMatchObject({ role: 'approver', scope: { namespaces: ['shop'] } });
    expect(principalOfPerson({ ...trust, roles: trust.roles.slice(0, 1) }, person)).toBeNull();
    expect(principalOfPerson({ ...trust, clientId: 'other' }, person)).toBeNull();
    expect(principalOfPerson({ ...trust, issuer: 'https://other.example.com' }, person)).toBeNull();
  });

  it("is known to approvals by name and by the provider's id, and by the group that gave the role", () => {
    const claims = { sub: 'u-1', email: 'ana@example.com', email_verified: true, groups: ['shop'] };
    const person = personOf(trust, claims);
    expect(person === null ? null : principalOfPerson(trust, person)).toMatchObject({
      persons: ['ana@example.com', 'u-1'],
      groups: ['shop'],
    });
  });
});
