import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { capabilityMatrix, loadMeshes } from '../../src/adapters/registry.ts';
import { claimsForRules, PIPELINES } from '../../src/app/trust/pipelines.ts';
import { readTrust } from '../../src/app/trust/schema.ts';
import { VARIABLES } from '../../src/config.ts';
import { missingCapability } from '../../src/domain/capabilities.ts';
import { chartFile, ROOT } from '../support/chart.ts';

const page = (name: string): string => readFileSync(join(ROOT, 'docs', name), 'utf8');
const operations = page('operations.md');

describe('docs/seed.md', () => {
  it('names tests that are there', () => {
    const named = [
      ...new Set([...page('seed.md').matchAll(/`(test\/[^`]+\.test\.ts)`/g)].map(([, file = '']) => file)),
    ];
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });

  it('names every test of a row, and for each row one that is named after it', () => {
    const text = page('seed.md');
    const files = readdirSync(join(ROOT, 'test/mesh-rows')).filter((file) => /^(p\d+|[a-q]2?)-/.test(file));
    expect(files.length).toBeGreaterThan(30);
    expect(files.filter((file) => !text.includes(`\`test/mesh-rows/${file}\``))).toEqual([]);
    const rows = text.split('\n').filter((line) => line.startsWith('| ') && !/^\| (section|practice) /.test(line));
    expect(rows.filter((line) => !/`test\/mesh-rows\/(p\d+|[a-q]2?)-/.test(line))).toEqual([]);
  });

  it('has a row for each section of the guide and each of its ten practices', () => {
    const rows = page('seed.md')
      .split('\n')
      .filter((line) => line.startsWith('| '));
    const practices = rows.filter((line) => /^\| \d+ /.test(line)).map((line) => Number(/^\| (\d+) /.exec(line)?.[1]));
    expect(practices).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(rows.filter((line) => !/^\| (\d+ |section|practice|---)/.test(line)).length).toBeGreaterThanOrEqual(18);
  });
});

describe('docs/plan.md', () => {
  it.each(['headerRoute', 'mirror', 'faultRehearsal'] as const)(
    'says who carries a %s step as the matrix does',
    async (step) => {
      const matrix = capabilityMatrix(await loadMeshes());
      const carriers = [
        { mesh: 'istio' },
        { mesh: 'gateway-api', proxy: 'istio' },
        { mesh: 'gateway-api', proxy: 'linkerd' },
        { mesh: 'linkerd-smi' },
      ];
      const able = carriers.map((carrier) =>
        missingCapability(matrix, carrier, { kind: step }) === null ? 'yes' : 'no',
      );
      const head = '| step | `istio` | `gateway-api`, proxy Istio | `gateway-api`, proxy Linkerd | `linkerd-smi` |';
      expect(page('plan.md')).toContain(head);
      expect(page('plan.md')).toContain(`| \`${step}\` | ${able.join(' | ')} |`);
    },
  );
});

describe('the trust policies of docs/ci.md and docs/page.md', () => {
  it.each(['ci', 'login'])('are such as the service reads: %s', (part) => {
    const text = page(part === 'ci' ? 'ci.md' : 'page.md');
    const block = new RegExp(`\`\`\`yaml\\n(${part}:\\n[\\s\\S]*?)\`\`\``).exec(text)?.[1] ?? '';
    const read = readTrust(parse(block));
    expect(read.ok ? [] : read.problems).toEqual([]);
  });

  it('name every claim and every maker', () => {
    const text = page('ci.md');
    for (const pipeline of Object.values(PIPELINES)) {
      for (const claim of claimsForRules(pipeline)) expect(text).toContain(`\`${claim}\``);
      for (const claim of pipeline.shown) expect(text).toContain(`\`{${claim}}\``);
      for (const value of pipeline.outsiders.values) expect(text).toContain(`\`${value}\``);
      expect(text).toContain(pipeline.issuer);
    }
  });
});

describe('docs/operations.md', () => {
  it('explains every setting, with its * and no others', () => {
    const table = operations.split('\n').filter((line) => line.startsWith('| `'));
    const named = table.flatMap((line) =>
      [...(line.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`(\*?)/g)].map(([, name, star]) => `${name}${star}`),
    );
    expect(named.toSorted()).toEqual(Object.keys(VARIABLES).toSorted());
  });

  it('explains every alert', () => {
    const alerts = [...chartFile('files/alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    expect([...operations.matchAll(/^\| `(Sluice\w+)`/gm)].map(([, name]) => name)).toEqual(alerts);
  });

  it('shows YAML that is YAML, and clusters as the service reads them', () => {
    for (const name of ['operations.md', 'slack.md'])
      for (const [, block = ''] of page(name).matchAll(/^ *```yaml\n([\s\S]*?)^ *```/gm))
        for (const document of parseAllDocuments(block)) expect(document.errors).toEqual([]);
    expect(operations).toContain('tokenFrom:');
  });

  it('tells GitOps tools to leave the very fields alone that are written', async () => {
    const block = /```yaml\n(spec:\n {2}ignoreDifferences[\s\S]*?)```/.exec(operations)?.[1] ?? '';
    const { spec } = parse(block) as {
      spec: { ignoreDifferences: { group: string; kind: string; jqPathExpressions: string[] }[] };
    };
    const written = [...(await loadMeshes()).values()].flatMap(({ rbac }) =>
      rbac.filter(({ verbs }) => verbs.includes('patch')),
    );
    for (const { group, kind, jqPathExpressions } of spec.ignoreDifferences) {
      const plural = `${kind.toLowerCase()}s`;
      expect([
        group,
        written.some((rule) => rule.apiGroups.includes(group) && rule.resources.includes(plural)),
      ]).toEqual([group, true]);
      for (const path of jqPathExpressions) expect(path).toMatch(/\.weight$/);
    }
    expect(spec.ignoreDifferences).toHaveLength(new Set(written.flatMap(({ resources }) => resources)).size);
  });
});
