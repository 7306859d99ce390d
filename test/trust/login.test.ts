import { describe, expect, it } from 'vitest';
import { type Person, personOf, principalOfPerson } from '../../src/app/trust/login.ts';
import type { LoginTrust } from '../../src/app/trust/trust.ts';
import { isSamePerson, NOTHING_JOINED } from '../../src/domain/person.ts';

const trust: LoginTrust = {
  issuer: 'https://idp.example.com',
  clientId: 'sluice',
  label: 'x',
  scopes: ['openid'],
  groupsClaim: 'groups',
  persons: ['{email}'],
  trustUnverifiedEmail: false,
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
    [{ email: 'ana@example.com', email_verified: true, preferred_username: 'ana' }, 'user ana@example.com'],
    [{ email: 'ana@example.com', email_verified: 'true', preferred_username: 'ana' }, 'user ana@example.com'],
    [{ email: 'ana@example.com', email_verified: 'false', preferred_username: 'ana' }, 'user ana'],
    [{ email: 'ana@example.com', preferred_username: 'ana' }, 'user ana'],
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
      persons: ['ana@example.com', 'oidc:https://idp.example.com#u-1'],
      groups: ['shop'],
    });
  });
});

describe('by which names approvals know somebody', () => {
  const github = ['{email}', 'github:{github_login}'];
  const checked = { email: 'ana@example.com', email_verified: true };
  it.each<[string, Partial<LoginTrust>, object, readonly string[]]>([
    ['an address that the provider has checked', {}, checked, ['ana@example.com']],
    ['no address of which the provider does not say so', {}, { email: 'ana@example.com' }, []],
    ['no address that it has not checked', {}, { ...checked, email_verified: false }, []],
    ['any address, where the policy says so', { trustUnverifiedEmail: true }, { email: 'a@b.org' }, ['a@b.org']],
    [
      'a login elsewhere',
      { persons: github },
      { ...checked, github_login: 'ana-gh' },
      ['ana@example.com', 'github:ana-gh'],
    ],
    ['no login, where the claim is missing', { persons: github }, checked, ['ana@example.com']],
    ['no login of white space', { persons: github }, { github_login: ' \n' }, []],
    ['a place within', { persons: ['github:{/ext/login}'] }, { ext: { login: 'ana-gh' } }, ['github:ana-gh']],
    ['a number', { persons: ['github:{id}'] }, { id: 17 }, ['github:17']],
    ['a plain name', { persons: ['{preferred_username}'] }, { preferred_username: 'ana' }, ['ana']],
    ['no name that takes a kind for itself', { persons: ['{nick}'] }, { nick: 'github:ben-gh' }, []],
    ["no name that is the provider's of another", { persons: ['{nick}'] }, { nick: 'oidc:https://x#u-2' }, []],
    ['no user name that is an address', { persons: ['{nick}'] }, { ...checked, nick: 'ben@example.com' }, []],
    [
      'a user name that is their own address',
      { persons: ['{nick}'] },
      { ...checked, nick: 'ana@example.com' },
      ['ana@example.com'],
    ],
    ['nothing without end', { persons: ['{nick}'] }, { nick: 'a'.repeat(300) }, []],
  ])('%s', (_, over, claims, names) => {
    expect(of({ ...open, ...over }, claims)?.persons).toEqual([...names, 'oidc:https://idp.example.com#u-1']);
  });

  it("is the provider's id alone in a session from before there were names", () => {
    const { names: _, ...old } = personOf(open, checkedOf('ana@example.com')) ?? {};
    expect(principalOfPerson(open, old as Person)?.persons).toEqual(['oidc:https://idp.example.com#u-1']);
  });

  it('leaves somebody who changes their address the same person', () => {
    const [before, after] = ['ana@example.com', 'ana.new@example.com'].map((email) => of(open, checkedOf(email)));
    const named = (who: typeof before) => ({ id: 'a door', persons: who?.persons ?? [] });
    expect(isSamePerson({ ...named(before), id: 'another' }, named(after), NOTHING_JOINED)).toBe(true);
  });
});

const checkedOf = (email: string) => ({ sub: 'u-1', email, email_verified: true });
