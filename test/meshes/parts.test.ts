import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { DECISION_ANNOTATION, encodeDecision, stampOn } from '../../src/adapters/routes/decision.ts';
import { coversHost, expandHost, namespaceOfHost } from '../../src/adapters/routes/hosts.ts';
import { label, ruleName, subdomain } from '../../src/adapters/routes/names.ts';
import { pointer } from '../../src/adapters/routes/pointer.ts';
import { isMilli, milliOf } from '../../src/adapters/routes/quantity.ts';
import { lastWriter } from '../../src/adapters/routes/writers.ts';
import { decision, milliSplit } from '../support/mesh-objects.ts';

const annotated = (text: string): KubeObject => ({
  ...milliSplit(),
  metadata: { name: 'myapp-canary', annotations: { [DECISION_ANNOTATION]: text } },
});

describe('the decision annotation', () => {
  it('says who decided what, from where and why', () => {
    const link = 'https://sluice.example.com/ui/rollouts/r-1';
    expect(JSON.parse(encodeDecision(decision(25, 3, { link })))).toEqual({
      rollout: 'r-1',
      epoch: 7,
      generation: 3,
      fact: 4,
      step: 0,
      from: 10,
      to: 25,
      reason: 'step 1 of 3',
      actor: 'sluice',
      at: '2026-01-02T03:04:05.000Z',
      link,
    });
  });

  it('leaves out an address that is too long to be whole', () => {
    const link = `https://sluice.example.com/${'a'.repeat(300)}`;
    expect(JSON.parse(encodeDecision(decision(25, 3, { link })))).not.toHaveProperty('link');
  });

  it('gives back the stamp that was written, whatever the words', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 3000 }),
        fc.string({ maxLength: 400 }),
        fc.nat(),
        (reason, actor, n) => {
          const text = encodeDecision(
            decision(5, n, { reason, actor, link: 'https://sluice.example.com/ui/rollouts/r-1' }),
          );
          expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1024);
          expect(stampOn(annotated(text))).toEqual({ rollout: 'r-1', epoch: 7, generation: n });
        },
      ),
    );
  });

  it('keeps as much of a long reason as 1 KiB can hold', () => {
    const text = encodeDecision(decision(5, 1, { reason: 'ä'.repeat(2000) }));
    expect(Buffer.byteLength(text)).toBeGreaterThan(1000);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1024);
    expect(JSON.parse(text).reason).toMatch(/^ä+…$/);
  });

  it.each([
    ['no JSON', 'hello'],
    ['no object', '[1]'],
    ['null', 'null'],
    ['an empty text', ''],
    ['no rollout', '{"epoch":1,"generation":1}'],
    ['an empty rollout', '{"rollout":"","epoch":1,"generation":1}'],
    ['a fractional epoch', '{"rollout":"r","epoch":1.5,"generation":1}'],
    ['a negative generation', '{"rollout":"r","epoch":1,"generation":-1}'],
    ['an epoch beyond whole numbers', '{"rollout":"r","epoch":1e300,"generation":1}'],
    ['an epoch as text', '{"rollout":"r","epoch":"1","generation":1}'],
    ['far too much text', `{"rollout":"r","epoch":1,"generation":1,"x":"${'y'.repeat(5000)}"}`],
  ])('reads an annotation with %s as none', (_, text) => {
    expect(stampOn(annotated(text))).toBeNull();
  });

  it('never throws on what people write into it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const stamp = stampOn(annotated(text));
        expect(stamp === null || typeof stamp.rollout === 'string').toBe(true);
      }),
    );
  });
});

describe('host names', () => {
  it.each([
    ['myapp', 'myapp.production.svc.cluster.local'],
    ['myapp.production', 'myapp.production'],
    ['myapp.production.svc.cluster.local', 'myapp.production.svc.cluster.local'],
    ['example.com', 'example.com'],
  ])('%s in namespace production is %s', (host, expanded) => {
    expect(expandHost(host, 'production')).toBe(expanded);
  });

  it('knows the namespace of a service and of nothing else', () => {
    expect(namespaceOfHost('myapp.production.svc.cluster.local')).toBe('production');
    expect(namespaceOfHost('myapp.production')).toBeNull();
    expect(namespaceOfHost('example.com')).toBeNull();
  });

  it('covers by wildcard only what lies below it', () => {
    expect(coversHost('*', 'a.b')).toBe(true);
    expect(coversHost('*.example.com', 'a.example.com')).toBe(true);
    expect(coversHost('*.example.com', 'example.com')).toBe(false);
    expect(coversHost('*.example.com', 'badexample.com')).toBe(false);
  });
});

describe('quantities', () => {
  it.each([
    ['900m', 900],
    ['1', 1000],
    [1, 1000],
    ['0.5', 500],
    ['.5', 500],
    ['1.', 1000],
    ['+2', 2000],
    [0, 0],
    ['0', 0],
    ['1e2', 100_000],
    ['1E-1', 100],
    ['2k', 2_000_000],
    ['1Ki', 1_024_000],
    ['500000u', 500],
  ])('%j is %d thousandths', (written, milli) => {
    expect(milliOf(written)).toBeCloseTo(milli, 9);
  });

  it.each([
    ['-1'],
    [-1],
    ['10%'],
    ['m'],
    [''],
    ['1 m'],
    ['1mm'],
    [null],
    [undefined],
    [Number.NaN],
    [true],
    ['1m2'],
    ['1e'],
    [{}],
  ])('%j is no weight', (written) => {
    expect(milliOf(written)).toBeNull();
  });

  it('knows thousandths from whole numbers', () => {
    expect(['900m', '1', 1, '0.5'].map(isMilli)).toEqual([true, false, false, false]);
  });
});

describe('names', () => {
  const refused = ['', 'A', '-a', 'a-', 'a_b', 'a"', 'a}', 'a/b', '../x', 'a b', 'ä', 'a\n', 'a,b="c"'];
  it.each(refused)('%j is neither a label nor a subdomain', (name) => {
    expect(label().safeParse(name).success).toBe(false);
    expect(subdomain().safeParse(name).success).toBe(false);
  });

  it('bounds their length', () => {
    expect(label().safeParse('a'.repeat(63)).success).toBe(true);
    expect(label().safeParse('a'.repeat(64)).success).toBe(false);
    expect(subdomain().safeParse('a'.repeat(253)).success).toBe(true);
    expect(subdomain().safeParse('a'.repeat(254)).success).toBe(false);
  });

  it('a subdomain has dots between labels, a label has none', () => {
    expect(subdomain().safeParse('a.b-c.d').success).toBe(true);
    expect(subdomain().safeParse('a..b').success).toBe(false);
    expect(label().safeParse('a.b').success).toBe(false);
  });

  it('a rule may have any name that cannot end a quoted text', () => {
    for (const name of ['api', 'Reviews V2 routes', 'a.b/c', 'ä', 'x'])
      expect(ruleName().safeParse(name).success).toBe(true);
    for (const name of ['', ' a', 'a ', 'a"b', "a'b", 'a\\b', 'a{b', 'a}b', 'a\nb', 'a\u0000b', 'a`b'])
      expect(ruleName().safeParse(name).success, JSON.stringify(name)).toBe(false);
  });
});

describe('JSON pointers', () => {
  it('escape what would part a name', () => {
    expect(pointer('metadata', 'annotations', 'a/b~c')).toBe('/metadata/annotations/a~1b~0c');
    expect(pointer('spec', 'http', 0)).toBe('/spec/http/0');
  });
});

describe('the last writer', () => {
  const written = (...managedFields: object[]): KubeObject => ({
    ...milliSplit(),
    metadata: { name: 'x', managedFields: managedFields as never },
  });
  const by = (manager: string, time: string, more: object = {}) => ({ manager, operation: 'Update', time, ...more });

  it('is the newest one, with its way of writing and its time', () => {
    const object = written(
      by('sluice', '2026-01-02T00:00:00Z'),
      by('kubectl-edit', '2026-01-03T00:00:00Z'),
      by('helm', '2026-01-01T00:00:00Z'),
    );
    expect(lastWriter(object, 'backends')).toBe('kubectl-edit (Update) at 2026-01-03T00:00:00Z');
  });

  it('is the other one when both wrote within a second', () => {
    const object = written(by('sluice', '2026-01-02T00:00:00Z'), by('argocd-controller', '2026-01-02T00:00:00Z'));
    expect(lastWriter(object, 'backends')).toBe('argocd-controller (Update) at 2026-01-02T00:00:00Z');
  });

  it('is the owner of the weights where several wrote within a second', () => {
    const time = '2026-01-02T00:00:00Z';
    const owner = (manager: string) => by(manager, time, { fieldsV1: { 'f:spec': { 'f:backends': {} } } });
    const other = (manager: string) => by(manager, time, { fieldsV1: { 'f:spec': { 'f:service': {} } } });
    expect(lastWriter(written(other('helm'), owner('kubectl-edit'), other('sluice')), 'backends')).toContain(
      'kubectl-edit',
    );
    expect(lastWriter(written(other('helm'), owner('sluice'), other('kubectl-edit')), 'backends')).toContain('sluice');
  });

  it('is ours when we were last', () => {
    const object = written(by('sluice', '2026-01-02T00:00:00Z'), by('helm', '2026-01-01T00:00:00Z'));
    expect(lastWriter(object, 'backends')).toBe('sluice (Update) at 2026-01-02T00:00:00Z');
  });

  it('is never one who wrote the status only', () => {
    const object = written(
      by('helm', '2026-01-01T00:00:00Z'),
      by('controller', '2026-01-09T00:00:00Z', { subresource: 'status' }),
    );
    expect(lastWriter(object, 'backends')).toBe('helm (Update) at 2026-01-01T00:00:00Z');
  });

  it('is not known where the server does not say', () => {
    expect(lastWriter(milliSplit(), 'backends')).toBeNull();
    expect(lastWriter(written(), 'backends')).toBeNull();
  });
});
