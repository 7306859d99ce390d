/** A process whose policy names a check that there is not must not start: the check that is meant would go without. */
import { expect, it } from 'vitest';
import { compose, type Settings } from '../../src/compose.ts';
import { quietLog } from '../support/usecases-fake.ts';

it('refuses an unknown check in the policy at start, with the known ones', async () => {
  const settings: Settings = {
    databaseUrl: 'postgres://nobody@127.0.0.1:9/none',
    queue: { kind: 'postgres', url: 'postgres://nobody@127.0.0.1:9/none' },
    clusters: [],
    concurrency: 1,
    retention: null,
    slack: null,
    publicUrl: null,
    preflight: { severity: { 'mesh.verison': 'fail' }, minVersion: {} },
  };
  const recorder = () => {
    throw new Error('nothing is opened before the policy is known to be right');
  };
  await expect(compose(settings, { log: quietLog, recorder })).rejects.toThrow(
    /^unknown mesh check in SLUICE_PREFLIGHT_SEVERITY "mesh\.verison"; known: .*mesh\.installed, .*mesh\.version/,
  );
});
