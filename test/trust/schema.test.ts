import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readTrust } from '../../src/app/trust/schema.ts';

const rule = {
  name: 'shop',
  issuer: 'github',
  match: { repository_id: 1234, ref: 'refs/heads/main' },
};
const ci = { audience: 'sluice', rules: [rule] };
const login = { issuer: 'https://idp.example.com', clientId: 'sluice', roles: [{ group: 'sre', role: 'approver' }] };
const problems = (document: unknown): readonly string[] => {
  const read = readTrust(document);
  if (read.ok) throw new Error('wanted problems, found none');
  return read.problems;
};
const withRule = (over: object): object => ({ ci: { ...ci, rules: [{ ...rule, ...over }] } });

describe('a trust policy', () => {
  it('needs little, and the rest is the careful choice', () => {
    expect(readTrust({ login, ci })).toEqual({
      ok: true,
      trust: {
        login: {
          issuer: 'https://idp.example.com',
          clientId: 'sluice',
          label: 'single sign-on',
          scopes: ['openid', 'profile', 'email'],
          groupsClaim: 'groups',
          persons: ['{email}'],
          trustUnverifiedEmail: false,
          session: 8 * 3_600_000,
          roles: [{ group: 'sre', role: 'approver', scope: null }],
        },
        ci: {
          audience: 'sluice',
          issuers: { github: { kind: 'github', issuer: 'https://token.actions.githubusercontent.com' } },
          rules: [
            {
              name: 'shop',
              issuer: 'github',
              match: { repository_id: ['1234'], ref: ['refs/heads/main'] },
              role: 'deployer',
              scope: null,
              principal: 'github {repository} run {run_id} attempt {run_attempt}',
            },
          ],
        },
        identities: { people: [], kindsDiffer: false },
      },
    });
  });

  it("says by which claims people are known, and which names are one person's", () => {
    expect(
      readTrust({
        login: { ...login, persons: ['email', 'github:{github_login}'] },
        identities: { people: [{ person: 'ana@example.com', aka: ['ana-gh', 'slack:U123'] }], kindsDiffer: true },
      }),
    ).toMatchObject({
      trust: {
        login: { persons: ['{email}', 'github:{github_login}'] },
        identities: { people: [['ana@example.com', 'ana-gh', 'slack:U123']], kindsDiffer: true },
      },
    });
    expect(readTrust({ identities: {} })).toMatchObject({
      trust: { login: null, ci: null, identities: { people: [], kindsDiffer: false } },
    });
  });

  it('may name issuers of its own, scopes, and what callers are called', () => {
    const document = parse(`
ci:
  audience: https://sluice.example.com
  roles: [deployer, approver]
  issuers:
    ours: { kind: gitlab, issuer: https://gitlab.example.com }
  rules:
    - name: payments
      issuer: ours
      match: { project_id: 7, namespace_id: [3, 4], ref: 'refs-*', ref_protected: true }
      role: approver
      namespaces: [production]
      services: [payments]
      principal: 'pipeline {pipeline_id}'
`);
    const read = readTrust(document);
    expect(read.ok ? read.trust.ci?.rules[0] : read.problems).toEqual({
      name: 'payments',
      issuer: 'ours',
      match: { project_id: ['7'], namespace_id: ['3', '4'], ref: ['refs-*'], ref_protected: ['true'] },
      role: 'approver',
      scope: { namespaces: ['production'], services: ['payments'] },
      principal: 'pipeline {pipeline_id}',
    });
  });

  it.each<[string, object | null, RegExp]>([
    ['nothing', {}, /^\/: wanted login, ci, identities or several$/],
    ['an empty file', null, /^\/: /],
    ['an unknown part', { login, more: 1 }, /^\/: .*more/],
    ['an issuer by plain http', { login: { ...login, issuer: 'http://idp.example.com' } }, /^\/login\/issuer: wanted/],
    ['an issuer with a password', { login: { ...login, issuer: 'https://u:p@idp.example.com' } }, /^\/login\/issuer: /],
    ['scopes without openid', { login: { ...login, scopes: ['email'] } }, /^\/login\/scopes: wanted openid/],
    ['a session without end', { login: { ...login, session: '30d' } }, /^\/login\/session: wanted a duration from 5m/],
    [
      'a group and everybody',
      { login: { ...login, roles: [{ group: 'a', everybody: true, role: 'admin' }] } },
      /^\/login\/roles\/0: wanted either/,
    ],
    ['a role for nobody', { login: { ...login, roles: [{ role: 'admin' }] } }, /^\/login\/roles\/0: wanted either/],
    [
      'a group twice',
      {
        login: {
          ...login,
          roles: [
            { group: 'a', role: 'admin' },
            { group: 'a', role: 'viewer' },
          ],
        },
      },
      /^\/login\/roles: a group is named twice/,
    ],
    ['no audience', { ci: { rules: [rule] } }, /^\/ci\/audience: /],
    ['no rule', { ci: { ...ci, rules: [] } }, /^\/ci\/rules: /],
    [
      'sub',
      withRule({ match: { ...rule.match, sub: 'repo:octo-org/shop' } }),
      /^\/ci\/rules\/0\/match\/sub: wanted one of the claims repository_id/,
    ],
    [
      'a name for an id',
      withRule({ match: { ...rule.match, repository_id: 'octo-org/shop' } }),
      /^\/ci\/rules\/0\/match\/repository_id: wanted the number, not the name/,
    ],
    [
      'a * for an id',
      withRule({ match: { ...rule.match, repository_id: '*' } }),
      /^\/ci\/rules\/0\/match\/repository_id: /,
    ],
    [
      'no id',
      withRule({ match: { ref: 'refs/heads/main' } }),
      /^\/ci\/rules\/0\/match: wanted an id \(repository_id or repository_owner_id\)/,
    ],
    [
      'no branch',
      withRule({ match: { repository_id: '1' } }),
      /^\/ci\/rules\/0\/match: wanted ref, environment, job_workflow_ref/,
    ],
    [
      'two *',
      withRule({ match: { ...rule.match, ref: '*main*' } }),
      /^\/ci\/rules\/0\/match\/ref: wanted at most one \*/,
    ],
    [
      'a * in an environment',
      withRule({ match: { ...rule.match, environment: 'prod*' } }),
      /^\/ci\/rules\/0\/match\/environment: \* stands/,
    ],
    ['a list without values', withRule({ match: { ...rule.match, ref: [] } }), /^\/ci\/rules\/0\/match\/ref: /],
    [
      'an issuer that is not there',
      withRule({ issuer: 'jenkins' }),
      /^\/ci\/rules\/0\/issuer: wanted one of \/ci\/issuers \(github\); found "jenkins"/,
    ],
    [
      'more than a deployer',
      withRule({ role: 'approver' }),
      /^\/ci\/rules\/0\/role: wanted one of \/ci\/roles \(viewer, deployer\); found approver/,
    ],
    [
      'a claim that names must not show',
      withRule({ principal: 'run {jti}' }),
      /^\/ci\/rules\/0\/principal: wanted \{claim\} of repository/,
    ],
    [
      'a name without a claim',
      { login: { ...login, persons: ['github:{}'] } },
      /^\/login\/persons\/0: wanted a claim, or text with \{claim\}s/,
    ],
    ['half a claim', { login: { ...login, persons: ['github:{sub'] } }, /^\/login\/persons\/0: wanted a claim/],
    [
      "a name that is the provider's",
      { login: { ...login, persons: ['oidc:{upn}'] } },
      /^\/login\/persons\/0: names that begin with oidc:/,
    ],
    [
      'two people of one name',
      {
        identities: {
          people: [
            { person: 'ana@example.com', aka: ['ana-gh'] },
            { person: 'ben@example.com', aka: ['Ana-GH'] },
          ],
        },
      },
      /^\/identities\/people\/1: "ana-gh" is a name of ana@example.com already/,
    ],
    ['a person without other names', { identities: { people: [{ person: 'ana', aka: [] }] } }, /\/people\/0\/aka: /],
    ['a namespace that is none', withRule({ namespaces: ['Shop!'] }), /^\/ci\/rules\/0\/namespaces\/0: /],
    ['a rule twice', { ci: { ...ci, rules: [rule, rule] } }, /^\/ci\/rules\/1\/name: another rule/],
    [
      'an issuer twice',
      { ci: { ...ci, issuers: { github: { kind: 'github' }, again: { kind: 'github' } } } },
      /^\/ci\/issuers\/again: .* is named twice/,
    ],
  ])('is refused with %s, and the place is named', (_, document, words) => {
    expect(problems(document).join('\n')).toMatch(words);
  });
});
