/** An inspector of one cluster, "default" with Istio, that finds what a test says. The real one: `inspection.ts`. */
import type { MeshFinding, MeshInspector } from '../../src/app/ports.ts';
import { UnknownName } from '../../src/app/ports.ts';

export const anInspector = (findings: () => readonly MeshFinding[] = () => []): MeshInspector => ({
  checks: ['mesh.installed', 'mesh.version'],
  target: async () => findings(),
  alike: async () => [],
  async cluster({ cluster, mesh, proxy, namespace }) {
    if (cluster !== 'default') throw new UnknownName('cluster', cluster, ['default']);
    if (mesh !== 'istio') throw new UnknownName('mesh', mesh, ['istio']);
    return {
      cluster,
      mesh,
      proxy: proxy ?? 'istio',
      namespace,
      controlPlane: 'istio-system',
      installed: true,
      version: '1.30.3',
      profile: 'default',
      findings: findings(),
    };
  },
});
