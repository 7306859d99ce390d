/** A cluster as the meshes' own installers leave it. */
import { expect, it } from 'vitest';
import { INSTALLED, inspection, wordsOf } from '../support/inspection.ts';

/** What an installation can get right by itself; the other checks are about what a team writes beside it. */
const OF_THE_INSTALLATION =
  /^(mesh|injection|gitops|service|serviceprofile|trafficsplit|linkerd|route)\.|^sidecar\.resources$/;

it.each(Object.keys(INSTALLED) as (keyof typeof INSTALLED)[])(
  'a sound installation of %s passes every check of it, and a rollout starts',
  async (mesh) => {
    const world = await inspection({ mesh });
    const found = await world.find();
    const own = found.filter(({ check }) => OF_THE_INSTALLATION.test(check));
    expect(own.filter(({ level }) => level !== 'pass').map(({ check, message }) => `${check}: ${message}`)).toEqual([]);
    expect(new Set(own.map(({ check }) => check)).size).toBeGreaterThan(5);
    expect(found.filter(({ level }) => level === 'fail').map(({ check, message }) => `${check}: ${message}`)).toEqual(
      [],
    );
    expect(found.map(({ check }) => check)).toEqual(found.map(({ check }) => check).toSorted());
    const { status, body } = await world.rollOut();
    expect([status, wordsOf(body.findings ?? [])]).toEqual([202, '']);
  },
);
