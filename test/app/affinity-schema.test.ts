/** Session affinity as plans ask for it: defaults, refusals, and what it does to the comparison. */
import { describe, expect, it } from 'vitest';
import { capabilityMatrix, loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import { missingCapability } from '../../src/domain/capabilities.ts';

const meshes = await loadMeshes();
const matrix = capabilityMatrix(meshes);
const parser = planParser(
  [...meshes.values()],
  ['prometheus'],
  () => null,
  undefined,
  null,
  (asked, { mesh, proxy }) => missingCapability(matrix, { mesh, proxy }, asked)?.message ?? null,
);
const parsed = (sessionAffinity: unknown, part: object = {}) =>
  parser.parse({
    target: meshes.get('istio')?.example,
    steps: [{ weight: 10 }, { weight: 50 }],
    sessionAffinity,
    ...part,
  });
const problemsOf = (...given: Parameters<typeof parsed>) => {
  const result = parsed(...given);
  return result.ok ? [] : result.problems;
};

describe('session affinity in a plan', () => {
  it('is off unless asked for, and needs nothing said', () => {
    const bare = parser.parse({ target: meshes.get('istio')?.example, steps: [{ weight: 10 }] });
    expect(bare.ok && 'sessionAffinity' in bare.plan).toBe(false);
    expect(parsed({})).toMatchObject({
      ok: true,
      plan: {
        sessionAffinity: { cookie: 'sluice-session', maxAge: 3_600_000, path: '/', secure: false, sameSite: 'Lax' },
      },
    });
  });

  it('has users compared in robust mode, and refuses the mode that takes every request for itself', () => {
    expect(parsed({})).toMatchObject({ plan: { analysis: { evidence: { mode: 'robust' } } } });
    expect(parsed(undefined)).toMatchObject({ plan: { analysis: { evidence: { mode: 'auto' } } } });
    const checks = [{ name: 'errors', kind: 'error-rate', max: '1%' }];
    expect(parsed({}, { analysis: { checks, evidence: { mode: 'off' } } })).toMatchObject({
      plan: { analysis: { evidence: null } },
    });
    expect(problemsOf({}, { analysis: { evidence: { mode: 'independent' } } })).toMatchObject([
      { pointer: '/analysis/evidence/mode', code: 'not_independent' },
    ]);
  });

  it.each<[string, object, string]>([
    ['/sessionAffinity/cookie', { cookie: 'a b' }, 'name of a cookie'],
    ['/sessionAffinity/cookie', { cookie: 'a%b' }, 'name of a cookie'],
    ['/sessionAffinity/cookie', { cookie: '__Secure-s' }, 'only with Secure'],
    ['/sessionAffinity/path', { cookie: '__Host-s', secure: true, path: '/shop' }, 'only with the path "/"'],
    ['/sessionAffinity/path', { path: '/a;Domain=x' }, 'wanted a path'],
    ['/sessionAffinity/path', { path: 'shop' }, 'wanted a path'],
    ['/sessionAffinity/maxAge', { maxAge: 60 }, 'with a unit'],
    ['/sessionAffinity/maxAge', { maxAge: '500ms' }, '1s'],
    ['/sessionAffinity/sameSite', { sameSite: 'None' }, 'only with Secure'],
    ['/sessionAffinity/domain', { domain: 'x' }, 'unknown field "domain"'],
  ])('%s: %j is refused', (pointer, written, words) => {
    const problems = problemsOf(written);
    expect(problems.map((problem) => problem.pointer)).toEqual([pointer]);
    expect(problems[0]?.message).toContain(words);
  });

  it('is refused where no step divides the users', () => {
    const checks = [{ name: 'errors', kind: 'error-rate', max: '1%' }];
    expect(problemsOf({}, { steps: { template: 'blueGreen' }, analysis: { checks } })).toMatchObject([
      { pointer: '/sessionAffinity', code: 'no_weight' },
    ]);
  });

  it.each(['linkerd-smi', 'gateway-api'])('is refused for %s with the capability, and what has it', (mesh) => {
    const [problem, ...more] = problemsOf({}, { target: meshes.get(mesh)?.example });
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ pointer: '/sessionAffinity', code: 'unsupported_step' });
    expect(problem?.message).toMatch(
      /^sessionAffinity needs the capability "sessionAffinity", which .*; supported by istio\. Take it out of the plan$/,
    );
  });
});
