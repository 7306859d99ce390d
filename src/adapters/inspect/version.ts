/** Versions of control planes and proxies, as image tags have them: 1.30.3-distroless, stable-2.14.10, edge-24.11.8. */

export interface MeshVersion {
  readonly text: string;
  /** "stable", "edge", "enterprise"; '': the mesh has one line of releases. */
  readonly channel: string;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

const VERSION = /^(?:([a-z]+)-)?v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:[-+.].*)?$/;

/** null: it says no version ("latest", a digest). */
export function parseVersion(text: string): MeshVersion | null {
  const [match, channel = '', major, minor, patch = '0'] = VERSION.exec(text) ?? [];
  if (match === undefined) return null;
  return { text, channel, major: Number(major), minor: Number(minor), patch: Number(patch) };
}

/** Tag of an image; null: it has none, or only a digest. */
export function tagOf(image: string): string | null {
  const [named = ''] = image.split('@');
  const [, tag] = /:([^:/]+)$/.exec(named) ?? [];
  return tag ?? null;
}

/** The version that an image's tag tells. */
export const versionOfImage = (image: string | null): MeshVersion | null => {
  const tag = image === null ? null : tagOf(image);
  return tag === null ? null : parseVersion(tag);
};

/** Numbers of edge releases are dates, those of stable ones are not: only what has one line of releases can be compared. */
export const sameLine = (a: MeshVersion, b: MeshVersion): boolean => isDated(a) === isDated(b);
const isDated = ({ channel }: MeshVersion): boolean => channel === 'edge';

/** Below 0: a is older. Patches count. */
export const compareVersions = (a: MeshVersion, b: MeshVersion): number =>
  a.major - b.major || a.minor - b.minor || a.patch - b.patch;

/** Minor releases that a is behind b; null: another major, or releases that have dates for numbers. */
export const minorsBehind = (a: MeshVersion, b: MeshVersion): number | null =>
  a.major !== b.major || isDated(a) || isDated(b) ? null : b.minor - a.minor;
