/** service.rights: what Sluice's own account may do to the route, by what the API server says. */
import { expect, it } from 'vitest';
import { NO_DEMANDS } from '../../src/adapters/inspect/policy.ts';
import { inspection, levelsOf, wordsOf } from '../support/inspection.ts';

const READ = ['get', 'list', 'watch'];

async function asAccount(verbs: readonly string[], writesHere: boolean) {
  const world = await inspection({ token: 'sluice', policy: { ...NO_DEMANDS, writesHere } });
  const others = { apiGroups: ['', 'apps'], resources: ['*'], verbs: READ };
  const routes = { apiGroups: ['networking.istio.io'], resources: ['virtualservices'], verbs };
  world.api.grant('sluice', { user: 'sluice', rules: [others, routes] });
  return world.find('service.rights');
}

it.each([
  ['all that it takes', [...READ, 'patch'], true, 'pass', /may get, list, watch, patch virtualservices/],
  ['no patch, where this process writes', READ, true, 'fail', /may not patch.*verbs: \["patch"\]/],
  ['no patch, where the worker has an account of its own', READ, false, 'pass', /patch is asked of the worker/],
  ['no watch', ['get', 'list', 'patch'], true, 'fail', /may not watch.*could not be moved or watched/],
] as const)('%s', async (_, verbs, writesHere, level, words) => {
  const found = await asAccount(verbs, writesHere);
  expect(levelsOf(found)).toEqual([level]);
  expect(wordsOf(found)).toMatch(words);
});

it('says nothing of an object that cannot even be read: the finding of the route names that right', async () => {
  expect(await asAccount(['list'], true)).toEqual([]);
});
