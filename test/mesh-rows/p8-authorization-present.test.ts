import { describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import check from '../../src/adapters/inspect/checks/authz-present.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { type Around, expectOne, run, security, seed, statuses, surroundings } from '../support/surroundings.ts';

const documented = await seed('authorization-policy');
const look = (objects: readonly KubeObject[], around: Around = { namespaceOnly: true }) =>
  run(check, surroundings(objects, around));

describe('a namespace', () => {
  it('with the document’s AuthorizationPolicy has one', async () => {
    const results = await look(documented);
    expect(statuses(results)).toEqual(['pass']);
    expect(results[0]?.evidence).toMatchObject({ policies: ['production/myapp-authz'] });
  });

  it.each([
    ['none at all', []],
    ['one of another namespace', [security('AuthorizationPolicy', 'x', {}, 'shop')]],
    [
      'a dry run only',
      [security('AuthorizationPolicy', 'x', {}, 'production', { annotations: { 'istio.io/dry-run': 'true' } })],
    ],
  ])('with %s is warned of: no zero trust', async (_, objects) => {
    expectOne(await look(objects), 'warn', {
      object: 'namespace production',
      field: 'AuthorizationPolicy',
      says: /no zero trust/,
      remedy: /kind: AuthorizationPolicy\nmetadata: \{ name: allow-nothing, namespace: production \}\nspec: \{\}/,
    });
  });

  it('under the mesh’s own policy has one', async () => {
    const [one] = await look([security('AuthorizationPolicy', 'wide', {}, 'istio-system')]);
    expect(one).toMatchObject({
      status: 'pass',
      message: expect.stringMatching(/of the whole mesh hold: istio-system\/wide/),
    });
  });

  it('whose mesh may not be read is unknown', async () => {
    await expect(look([], { unread: ['authorizationpolicies istio-system'] })).rejects.toThrow(Unread);
  });
});
