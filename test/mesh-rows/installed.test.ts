/** A cluster as the meshes' own installers leave it. */
import { expect, it } from 'vitest';
import { INSTALLED, inspection, wordsOf } from '../support/inspection.ts';

it.each(Object.keys(INSTALLED) as (keyof typeof INSTALLED)[])(
  'a sound installation of %s passes every check, and a rollout starts without a warning of any',
  async (mesh) => {
    const world = await inspection({ mesh });
    const found = await world.find();
    expect(found.filter(({ level }) => level !== 'pass').map(({ check, message }) => `${check}: ${message}`)).toEqual(
      [],
    );
    expect(new Set(found.map(({ check }) => check)).size).toBeGreaterThan(5);
    expect(found.map(({ check }) => check)).toEqual(found.map(({ check }) => check).toSorted());
    const { status, body } = await world.rollOut();
    expect([status, wordsOf(body.findings ?? [])]).toEqual([202, '']);
  },
);
