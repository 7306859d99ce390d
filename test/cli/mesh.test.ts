import { describe, expect, it } from 'vitest';
import { sluice, world } from './support.ts';

const FAILED = {
  check: 'mesh.installed',
  level: 'fail',
  message: 'deployment istio-system/istiod is scaled to 0',
  remediation: 'kubectl scale deployment istiod -n istio-system --replicas=1',
} as const;
const PASSED = { check: 'mesh.version', level: 'pass', message: 'control plane of Istio 1.30.3' } as const;

describe('sluice mesh', () => {
  it('tells version, profile and every check, and ends with 0 where none fails', async () => {
    const w = await world();
    w.fake.findAround([PASSED]);
    const { code, stdout } = await sluice(w.url, ['mesh', '--namespace', 'production']);
    expect(code).toBe(0);
    expect(stdout).toContain(
      'istio in cluster default, control plane in istio-system: installed, 1.30.3, profile default',
    );
    expect(stdout).toMatch(/mesh\.version +control plane of Istio 1\.30\.3/);
  });

  it('shows below a finding what to do, and ends with 11', async () => {
    const w = await world();
    w.fake.findAround([FAILED, PASSED]);
    const { code, stdout } = await sluice(w.url, ['mesh', 'default']);
    expect(code).toBe(11);
    const lines = stdout.split('\n');
    const at = lines.findIndex((line) => line.includes(FAILED.message));
    expect(lines[at + 1]?.trim()).toBe(FAILED.remediation);
  });

  it('ends with 0 where policy ignores what fails, and says so', async () => {
    const w = await world();
    w.fake.findAround([{ ...FAILED, ignored: true }]);
    const { code, stdout } = await sluice(w.url, ['mesh']);
    expect([code, stdout.includes('(ignored by policy)')]).toEqual([0, true]);
  });

  it('names the known clusters where one is unknown', async () => {
    const w = await world();
    const { code, stderr } = await sluice(w.url, ['mesh', 'west']);
    expect(code).toBe(12);
    expect(stderr).toContain('known: default');
  });

  it('has the answer as a document', async () => {
    const w = await world();
    w.fake.findAround([PASSED]);
    const { stdout } = await sluice(w.url, ['mesh', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({ installed: true, version: '1.30.3', findings: [PASSED] });
  });
});
