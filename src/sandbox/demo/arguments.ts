/** The demo's command line. Unknown flags and values are refused, and the known ones named. */
import { parseArgs } from 'node:util';
import type { Mesh } from '../seeds.ts';
import { MESHES } from '../seeds.ts';

export interface Arguments {
  readonly mesh: Mesh;
  /** Ends after the three releases, with an exit code. */
  readonly once: boolean;
  /** BullMQ on Redis instead of on Postgres. */
  readonly redis: boolean;
}

export const HELP = `Sluice's demo: a simulated cluster with a mesh, a real Prometheus, a real PostgreSQL, and Sluice itself.
It rolls out a good release, one with errors and one that is slow, and stays up for exploring.

Usage: npm run demo -- [options]

  --mesh <mesh>   ${MESHES.join(', ')}; default: ${MESHES[0]}
  --once          end after the three releases; exit code 0 only if the good one was promoted and both others rolled back
  --redis         queue on Redis (redis-server must be on the PATH); default: on PostgreSQL
  --help          this text
`;

export type Parsed =
  | { readonly kind: 'run'; readonly arguments: Arguments }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string };

export function parseArguments(args: readonly string[]): Parsed {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        mesh: { type: 'string', default: MESHES[0] },
        once: { type: 'boolean', default: false },
        redis: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return { kind: 'help' };
    const mesh = MESHES.find((known) => known === values.mesh);
    if (mesh === undefined)
      return { kind: 'wrong', message: `unknown mesh "${values.mesh}"; known: ${MESHES.join(', ')}` };
    return { kind: 'run', arguments: { mesh, once: values.once, redis: values.redis } };
  } catch (error) {
    return { kind: 'wrong', message: (error as Error).message };
  }
}
