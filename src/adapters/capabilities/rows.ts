/** Rows of the matrix for the API versions of one object that differ in little or nothing. */
import type { Capability, MeshCapabilities, Support } from '../../domain/capabilities.ts';

export interface ServedVersion {
  readonly apiVersion: string;
  readonly served: string;
  /** Where this version is unlike the others. */
  readonly unlike?: Partial<Readonly<Record<Capability, Support>>>;
}

/** The newest version first. */
export const rowsFor = (
  common: Omit<MeshCapabilities, 'apiVersion' | 'served'>,
  versions: readonly ServedVersion[],
): readonly MeshCapabilities[] =>
  versions.map(({ apiVersion, served, unlike }) => ({
    ...common,
    apiVersion,
    served,
    capabilities: { ...common.capabilities, ...unlike },
  }));
