/**
 * Without DATABASE_URL, on a developer's machine: a private Postgres below the checkout, migrated, kept between starts.
 * The image has no part of this (neither the launcher nor the binaries), and there the missing setting stays an error.
 */
import { fileURLToPath } from 'node:url';

export interface PrivateDatabase {
  readonly url: string;
  /** Stops the server, if this process started it. */
  release(): Promise<void>;
}

const DIRECTORY = fileURLToPath(new URL('../.sluice/postgres', import.meta.url));
const LAUNCHER = './sandbox/embedded-postgres.ts';

/** null: this is no checkout with the optional packages. Throws where the server cannot start. */
export async function privateDatabase(say: (line: string) => void): Promise<PrivateDatabase | null> {
  const launcher = await import(LAUNCHER.replace('.ts', import.meta.filename.slice(-3))).catch(() => null);
  if (launcher === null) return null;
  const { startEmbeddedPostgres } = launcher as typeof import('./sandbox/embedded-postgres.ts');
  const { migrate } = await import('./adapters/postgres/migrate.ts');
  const server = await startEmbeddedPostgres({ dir: DIRECTORY });
  await migrate(server.url, { direction: 'up', log: () => undefined });
  say(`no DATABASE_URL: using a private Postgres in ${server.dir} (for development only)`);
  return {
    url: server.url,
    async release() {
      if (!server.reused) await server.stop();
    },
  };
}
