import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideCi } from '../../src/app/trust/ci.ts';
import { readTrust } from '../../src/app/trust/schema.ts';
import type { CiTrust, Claims } from '../../src/app/trust/trust.ts';

const trust = ((): CiTrust => {
  const read = readTrust({
    ci: {
      audience: 'sluice',
      issuers: { github: { kind: 'github' }, ours: { kind: 'gitlab', issuer: 'https://gitlab.example.com' } },
      rules: [
        {
          name: 'shop to production',
          issuer: 'github',
          match: {
            repository_id: 123,
            repository_owner_id: 9,
            ref: ['refs/heads/main', 'refs/tags/v*'],
            environment: 'production',
            job_workflow_ref: 'octo-org/flows/.github/workflows/deploy.yml@*',
          },
          namespaces: ['shop'],
          services: ['checkout', 'payments'],
        },
        {
          name: 'reviews',
          issuer: 'github',
          match: { repository_id: 55, ref: 'refs/pull/*', event_name: 'pull_request' },
          role: 'viewer',
        },
        {
          name: 'gitlab',
          issuer: 'ours',
          match: { project_id: 7, namespace_id: 3, ref: 'main', ref_protected: true, environment: 'prod' },
        },
      ],
    },
  });
  if (!read.ok || read.trust.ci === null) throw new Error('the policy of the test is not valid');
  return read.trust.ci;
})();

const GITHUB: Claims = {
  sub: 'repo:octo-org@9/shop@123:environment:production',
  repository: 'octo-org/shop',
  repository_id: '123',
  repository_owner_id: '9',
  ref: 'refs/heads/main',
  environment: 'production',
  job_workflow_ref: 'octo-org/flows/.github/workflows/deploy.yml@refs/heads/main',
  event_name: 'push',
  run_id: '123',
  run_attempt: '1',
};
const GITLAB: Claims = {
  project_path: 'octo/shop',
  project_id: '7',
  namespace_id: '3',
  ref: 'main',
  ref_protected: 'true',
  environment: 'prod',
  pipeline_source: 'push',
  pipeline_id: '88',
  job_id: '99',
};
const without = (claims: Claims, name: string): Claims =>
  Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));

describe('a token that fits a rule', () => {
  it('of GitHub becomes the caller of that run', () => {
    expect(decideCi(trust, 'github', GITHUB)).toEqual({
      ok: true,
      principal: {
        id: 'ci:github:123',
        name: 'github octo-org/shop run 123 attempt 1',
        role: 'deployer',
        kind: 'ci',
        scope: { namespaces: ['shop'], services: ['checkout', 'payments'] },
      },
    });
  });

  it('of GitLab becomes the caller of that job', () => {
    expect(decideCi(trust, 'ours', GITLAB)).toEqual({
      ok: true,
      principal: { id: 'ci:ours:7', name: 'gitlab octo/shop pipeline 88 job 99', role: 'deployer', kind: 'ci' },
    });
  });

  it.each(['refs/tags/v1.2.3', 'refs/tags/v'])('may come from %s, as its * says', (ref) => {
    expect(decideCi(trust, 'github', { ...GITHUB, ref }).ok).toBe(true);
  });

  it('whatever its sub looks like: the format has changed before', () => {
    expect(decideCi(trust, 'github', { ...GITHUB, sub: 'repo:octo-org/shop:ref:refs/heads/main' }).ok).toBe(true);
    expect(decideCi(trust, 'github', without(GITHUB, 'sub')).ok).toBe(true);
  });

  it('whatever the repository is called now: it may have been renamed', () => {
    expect(decideCi(trust, 'github', { ...GITHUB, repository: 'octo-org/store' }).ok).toBe(true);
  });

  it('is called by nothing that could forge a line', () => {
    const decision = decideCi(trust, 'github', { ...GITHUB, repository: 'octo\n{"level":"error"}\u202e' });
    expect(decision.ok ? decision.principal.name : '').toBe('github octo{"level":"error"} run 123 attempt 1');
  });

  it('of a pull request only where the rule says so', () => {
    const pull = { ...GITHUB, repository_id: '55', ref: 'refs/pull/7/merge', event_name: 'pull_request' };
    expect(decideCi(trust, 'github', pull)).toMatchObject({ ok: true, principal: { role: 'viewer' } });
  });
});

describe('a token that does not', () => {
  it.each<[string, string, Claims, string]>([
    [
      'the same name and another repository',
      'github',
      { ...GITHUB, repository_id: '124' },
      'no rule is for this project: repository_id is "124", repository_owner_id is "9"',
    ],
    [
      'another owner',
      'github',
      { ...GITHUB, repository_owner_id: '10' },
      'no rule is for this project: repository_id is "123", repository_owner_id is "10"',
    ],
    [
      'another branch',
      'github',
      { ...GITHUB, ref: 'refs/heads/dev' },
      'the rule "shop to production" does not fit: ref is "refs/heads/dev"',
    ],
    [
      'a branch that begins like it',
      'github',
      { ...GITHUB, ref: 'refs/heads/main2' },
      'the rule "shop to production" does not fit: ref is "refs/heads/main2"',
    ],
    [
      'a branch called like the tag',
      'github',
      { ...GITHUB, ref: 'refs/heads/refs/tags/v1' },
      'the rule "shop to production" does not fit: ref is "refs/heads/refs/tags/v1"',
    ],
    [
      'another environment',
      'github',
      { ...GITHUB, environment: 'staging' },
      'the rule "shop to production" does not fit: environment is "staging"',
    ],
    [
      'no environment',
      'github',
      without(GITHUB, 'environment'),
      'the rule "shop to production" does not fit: environment is missing',
    ],
    [
      'another workflow',
      'github',
      { ...GITHUB, job_workflow_ref: 'octo-org/shop/.github/workflows/own.yml@refs/heads/main' },
      'the rule "shop to production" does not fit: job_workflow_ref is "octo-org/shop/.github/workflows/own.yml@refs/heads/main"',
    ],
    [
      'a pull request of a fork',
      'github',
      { ...GITHUB, event_name: 'pull_request_target' },
      'the rule "shop to production" does not fit: event_name is "pull_request_target"',
    ],
    ['no id', 'github', without(GITHUB, 'repository_id'), 'the token has no repository_id: is it of github?'],
    [
      'an id that is a list',
      'github',
      { ...GITHUB, repository_id: ['123'] },
      'the token has no repository_id: is it of github?',
    ],
    [
      'GitLab: another project',
      'ours',
      { ...GITLAB, project_id: '8' },
      'no rule is for this project: project_id is "8", namespace_id is "3"',
    ],
    [
      'GitLab: another group',
      'ours',
      { ...GITLAB, namespace_id: '4' },
      'no rule is for this project: project_id is "7", namespace_id is "4"',
    ],
    ['GitLab: another branch', 'ours', { ...GITLAB, ref: 'dev' }, 'the rule "gitlab" does not fit: ref is "dev"'],
    [
      'GitLab: a branch that is not protected',
      'ours',
      { ...GITLAB, ref_protected: 'false' },
      'the rule "gitlab" does not fit: ref_protected is "false"',
    ],
    [
      'GitLab: another environment',
      'ours',
      { ...GITLAB, environment: 'dev' },
      'the rule "gitlab" does not fit: environment is "dev"',
    ],
    [
      'GitLab: a merge request',
      'ours',
      { ...GITLAB, pipeline_source: 'merge_request_event' },
      'the rule "gitlab" does not fit: pipeline_source is "merge_request_event"',
    ],
    ['the token of the other maker', 'ours', GITHUB, 'the token has no project_id: is it of gitlab?'],
    ['an issuer that is not there', 'jenkins', GITHUB, 'the policy has no issuer jenkins'],
  ])('is refused with %s, and the claim is named', (_, issuer, claims, reason) => {
    expect(decideCi(trust, issuer, claims)).toEqual({ ok: false, reason });
  });

  it('of a stranger learns nothing of the rules', () => {
    const stranger = { ...GITHUB, repository_id: '999', repository_owner_id: '998', ref: 'refs/heads/x' };
    const decision = decideCi(trust, 'github', stranger);
    expect(JSON.stringify(decision)).not.toMatch(/shop to production|reviews|production|"123"|refs/);
  });
});

it('property: no claims without a full match of one rule make a caller', () => {
  const claim = (...values: string[]) =>
    fc.option(fc.oneof(fc.constantFrom(...values), fc.string()), { nil: undefined });
  const claims = fc.record({
    repository_id: claim('123', '55', '124', '*', ''),
    repository_owner_id: claim('9', '10'),
    ref: claim('refs/heads/main', 'refs/tags/v1', 'refs/heads/dev', 'refs/pull/1/merge'),
    environment: claim('production', 'staging'),
    job_workflow_ref: claim('octo-org/flows/.github/workflows/deploy.yml@refs/heads/main', 'x@y'),
    event_name: claim('push', 'pull_request', 'pull_request_target'),
  });
  // Said once more, as a person reads the policy.
  const shop = (c: Record<string, string | undefined>): boolean =>
    c['repository_id'] === '123' &&
    c['repository_owner_id'] === '9' &&
    (c['ref'] === 'refs/heads/main' || (c['ref'] ?? '').startsWith('refs/tags/v')) &&
    c['environment'] === 'production' &&
    (c['job_workflow_ref'] ?? '').startsWith('octo-org/flows/.github/workflows/deploy.yml@') &&
    !['pull_request', 'pull_request_target'].includes(c['event_name'] ?? '');
  const reviews = (c: Record<string, string | undefined>): boolean =>
    c['repository_id'] === '55' && (c['ref'] ?? '').startsWith('refs/pull/') && c['event_name'] === 'pull_request';
  fc.assert(
    fc.property(claims, (found) => {
      expect(decideCi(trust, 'github', found).ok).toBe(shop(found) || reviews(found));
      expect(decideCi(trust, 'ours', found).ok).toBe(false);
    }),
    { numRuns: 3_000 },
  );
});
