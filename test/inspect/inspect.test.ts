/** How checks are run: what is made of their answers, of silence, and of their bugs. */
import { describe, expect, it } from 'vitest';
import { type CheckModule, defineCheck, Unread } from '../../src/adapters/inspect/check.ts';
import { inspect, loadChecks, openInspector } from '../../src/adapters/inspect/inspect.ts';
import { NO_DEMANDS } from '../../src/adapters/inspect/policy.ts';
import { openSurroundings } from '../../src/adapters/inspect/surroundings.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { istioTarget } from '../support/mesh-objects.ts';
import { quietLog } from '../support/usecases-fake.ts';

const meshes = await loadMeshes();
const istio = meshFor(meshes, 'istio');
const target = istio.target.parse(istioTarget());

const around = (part: { readonly namespace?: string | null; readonly target?: typeof target | null } = {}) =>
  openSurroundings(
    { kube: memoryKube(), query: null },
    { mesh: istio, proxy: 'istio', namespace: 'production', target, controlPlane: 'x', policy: NO_DEMANDS, ...part },
  );

const aCheck = (name: string, run: CheckModule['run'], part: Partial<CheckModule> = {}): CheckModule =>
  defineCheck({ name, about: 'a', meshes: ['istio'], scope: 'target', rbac: [], run, ...part });
const checksOf = (...checks: readonly CheckModule[]) => new Map(checks.map((check) => [check.name, check]));
const pass = { status: 'pass' as const, message: 'fine' };

const logging = () => {
  const errors: object[] = [];
  return { errors, log: { ...quietLog, error: (fields: object) => void errors.push(fields) } };
};

describe('a check', () => {
  it('that could not read is unknown with the words of the trouble, and no bug', async () => {
    const { errors, log } = logging();
    const unread = aCheck('a.b', async () => {
      throw new Unread('pods is forbidden. Grant it: verbs: ["list"]');
    });
    expect(await inspect(checksOf(unread), around(), 1_000, log)).toEqual([
      { check: 'a.b', level: 'unknown', message: 'not checked: pods is forbidden. Grant it: verbs: ["list"]' },
    ]);
    expect(errors).toEqual([]);
  });

  it('that throws anything else is unknown, and the log has the error; the others are not harmed', async () => {
    const { errors, log } = logging();
    const broken = aCheck('a.broken', async () => {
      throw new TypeError('undefined is not a function');
    });
    const found = await inspect(
      checksOf(
        broken,
        aCheck('b.sound', async () => [pass]),
      ),
      around(),
      1_000,
      log,
    );
    expect(found.map(({ check, level }) => [check, level])).toEqual([
      ['a.broken', 'unknown'],
      ['b.sound', 'pass'],
    ]);
    expect(found[0]?.message).not.toContain('undefined');
    expect(errors).toMatchObject([{ check: 'a.broken', err: expect.any(TypeError) }]);
  });

  it('that never answers is unknown when the time is up, and holds nobody', async () => {
    const { log } = logging();
    const silent = aCheck('a.silent', () => new Promise(() => undefined));
    const started = performance.now();
    const found = await inspect(
      checksOf(
        silent,
        aCheck('b.sound', async () => [pass]),
      ),
      around(),
      50,
      log,
    );
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(found).toMatchObject([
      { check: 'a.silent', level: 'unknown', message: 'not checked: not answered within 0.05 s' },
      { check: 'b.sound', level: 'pass' },
    ]);
  });

  it('with several results keeps them all in its order; one with none is not spoken of', async () => {
    const two = aCheck('a.two', async () => [
      { status: 'warn', message: 'one', evidence: { n: 1 }, remediation: 'do' },
      { status: 'fail', message: 'two' },
    ]);
    expect(
      await inspect(
        checksOf(
          two,
          aCheck('b.none', async () => []),
        ),
        around(),
        1_000,
        quietLog,
      ),
    ).toEqual([
      { check: 'a.two', level: 'warn', message: 'one', evidence: { n: 1 }, remediation: 'do' },
      { check: 'a.two', level: 'fail', message: 'two' },
    ]);
  });

  it.each([
    ['a target', {}, ['c.cluster', 'n.namespace', 't.target']],
    ['a namespace', { target: null }, ['c.cluster', 'n.namespace']],
    ['only the cluster', { target: null, namespace: null }, ['c.cluster']],
  ])('of each scope that is covered is asked where %s is looked at', async (_, part, names) => {
    const run = async () => [pass];
    const all = checksOf(
      aCheck('c.cluster', run, { scope: 'cluster' }),
      aCheck('n.namespace', run, { scope: 'namespace' }),
      aCheck('o.other', run, { scope: 'cluster', meshes: ['linkerd-smi'] }),
      aCheck('t.target', run),
    );
    expect((await inspect(all, around(part), 1_000, quietLog)).map(({ check }) => check)).toEqual(names);
  });
});

describe('the inspector', () => {
  const inspector = (checks: ReadonlyMap<string, CheckModule>) =>
    openInspector({
      clusters: new Map([
        ['default', { kube: memoryKube(), query: null, controlPlanes: { istio: 'istio-system', linkerd: 'linkerd' } }],
      ]),
      meshes,
      checks,
      policy: NO_DEMANDS,
      severity: { 'a.warns': 'fail' },
      log: quietLog,
    });
  const warns = aCheck('a.warns', async () => [{ status: 'warn', message: 'hm' }]);

  it("weighs findings by the installation's policy and the plan's wishes", async () => {
    const one = inspector(checksOf(warns));
    expect(await one.target(target, {})).toMatchObject([{ level: 'fail' }]);
    expect(await one.target(target, { 'a.warns': 'ignore' })).toMatchObject([{ level: 'fail' }]);
  });

  it('names the known clusters and meshes where one is unknown', async () => {
    const one = inspector(checksOf(warns));
    const asked = { cluster: 'default', mesh: 'istio', proxy: null, namespace: null };
    await expect(one.cluster({ ...asked, cluster: 'west' })).rejects.toThrow('unknown cluster "west"; known: default');
    await expect(one.cluster({ ...asked, mesh: 'consul' })).rejects.toThrow(/unknown mesh "consul"; known: .*istio/);
    await expect(one.target({ ...target, cluster: 'west' }, {})).rejects.toThrow('known: default');
  });

  it.each([
    ['istio', null, 'istio', 'istio-system'],
    ['linkerd-smi', null, 'linkerd', 'linkerd'],
    ['gateway-api', null, 'linkerd', 'linkerd'],
    ['gateway-api', 'istio', 'istio', 'istio-system'],
  ] as const)("looks for the control plane of %s with proxy %s in %s's namespace", async (mesh, proxy, by, where) => {
    const report = await inspector(checksOf()).cluster({ cluster: 'default', mesh, proxy, namespace: null });
    expect(report).toMatchObject({ proxy: by, controlPlane: where, installed: null, version: null, findings: [] });
  });
});

describe('the folder of checks', () => {
  it('is loaded by name, each file named after its check', async () => {
    const checks = await loadChecks();
    expect([...checks.keys()]).toEqual([...checks.keys()].toSorted());
    expect([...checks.keys()]).toContain('mesh.installed');
  });

  it('asks for rights to read only', async () => {
    for (const { name, rbac, meshes: own } of (await loadChecks()).values()) {
      for (const rule of rbac) expect([name, ...rule.verbs]).toEqual([name, 'list']);
      for (const mesh of own) expect([...meshes.keys(), name]).toContain(mesh);
    }
  });
});
