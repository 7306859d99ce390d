import { expect, test } from 'vitest';
import { checkQuery, followsVersion, renderQuery } from '../../src/adapters/prometheus/placeholders.ts';
import type { Target } from '../../src/domain/plan.ts';
import { shop } from '../support/prometheus-target.ts';

const target: Target = {
  ...shop(),
  virtualService: { name: 'shop', route: 'api' },
  stable: { host: 'shop', subset: 'v1', deployment: 'shop.v1', port: 8080 },
  canary: { host: 'shop', subset: 'v2', deployment: 'shop.v2', port: 8080 },
};
const render = (query: string, role: 'stable' | 'canary' = 'canary') =>
  renderQuery(query, { target, role, window: 90_000 });

test.each([
  ['up{namespace="{{namespace}}"}', 'up{namespace="production"}'],
  ['up{service="{{ service }}"}', 'up{service="shop"}'],
  ['rate(x[{{window}}])', 'rate(x[90s])'],
  ['up{v="{{canary.subset}}",w="{{stable.subset}}"}', 'up{v="v2",w="v1"}'],
  ["up{v='{{canary.subset}}'}", "up{v='v2'}"],
  ['up{v="{{version.deployment}}"}', 'up{v="shop.v2"}'],
  ['up{v=~"{{re:version.deployment}}-.*"}', 'up{v=~"shop\\\\.v2-.*"}'],
  ['up{p="{{canary.port}}"}', 'up{p="8080"}'],
  ['up{r="{{target.virtualService.route}}",c="{{target.cluster}}"}', 'up{r="api",c="default"}'],
  ['up{v="a{{canary.subset}}b{{canary.subset}}"}', 'up{v="av2bv2"}'],
  ['# it\'s a "comment\nup{v="{{canary.subset}}"}', '# it\'s a "comment\nup{v="v2"}'],
  ['sum(up)', 'sum(up)'],
])('%s', (query, expected) => {
  expect(checkQuery(query, target)).toBeNull();
  expect(render(query)).toBe(expected);
});

test('{{version.*}} is the version that is measured', () => {
  const query = 'up{v="{{version.subset}}"}';
  expect(render(query, 'stable')).toBe('up{v="v1"}');
  expect(render(query, 'canary')).toBe('up{v="v2"}');
});

test.each([
  ['up{v="{{canary.nonesuch}}"}', '{{canary.nonesuch}}'],
  ['up{v="{{canary}}"}', '{{canary}}'],
  ['up{v="{{nonesuch}}"}', '{{nonesuch}}'],
  ['up{v="{{}}"}', '{{}}'],
  ['up{v="{{target.virtualService}}"}', '{{target.virtualService}}'],
  ['up{v="{{canary.constructor}}"}', '{{canary.constructor}}'],
  ['up{v="{{target.__proto__.x}}"}', '{{target.__proto__.x}}'],
  ['up{v="{{window.x}}"}', '{{window.x}}'],
])('%s has an unknown placeholder', (query, placeholder) => {
  const wrong = checkQuery(query, target);
  expect(wrong).toContain(`unknown placeholder ${placeholder};`);
  expect(wrong).toContain('{{namespace}}, {{service}}, {{window}}, {{canary.host}}');
  expect(wrong).toContain('{{version.subset}}');
  expect(wrong).toContain('{{target.virtualService.route}}');
  expect(() => render(query)).toThrow('unknown placeholder');
});

test('a field that only one of the versions has is no field of {{version.*}}', () => {
  const lopsided = { ...target, canary: { ...target.canary, track: 'beta' } };
  expect(checkQuery('up{t="{{canary.track}}"}', lopsided)).toBeNull();
  expect(checkQuery('up{t="{{version.track}}"}', lopsided)).toContain('unknown placeholder {{version.track}}');
});

test.each([
  'up{v={{canary.subset}}}',
  '{{service}}_requests_total',
  'up{v=`{{canary.subset}}`}',
  'up{v="a"} > {{canary.port}}',
  'up{v="\\""} > {{canary.port}}',
  'up # "{{canary.port}}"',
])('a placeholder outside of a string is refused: %s', (query) => {
  expect(checkQuery(query, target)).toContain('outside a string in double or single quotes');
});

test.each(['up{v="{{canary.subset}"}', 'up{v="{{"}', 'up{v="{{a{b}}}}"}'])('braces that do not match: %s', (query) => {
  expect(checkQuery(query, target)).toMatch(/\{\{/);
});

test.each([
  ['up{v="{{version.subset}}"}', true],
  ['up{v=~"{{ re: version.subset }}"}', true],
  ['up{v="{{canary.subset}}"}', false],
  ['up{v="version.subset"}', false],
])('does %s follow the version? %s', (query, expected) => {
  expect(followsVersion(query)).toBe(expected);
});
