/** The command line's only reader of the environment. (The service's is src/config.ts; that one pulls in the schema library.) */
export type Environment = Readonly<Record<string, string | undefined>>;

export const environment: Environment = process.env;

/** What the command line reads, and what it is for: shown by `sluice help` and in docs/cli.md. */
export const VARIABLES = {
  SLUICE_URL: 'address of the server, like https://sluice.example.com',
  SLUICE_TOKEN: 'API token, or the id token of a pipeline',
  SLUICE_TOKEN_FILE: 'path of a file with the API token',
  SLUICE_OIDC_AUDIENCE: 'in GitHub Actions: have an id token made for this audience, in place of an API token',
  SLUICE_CONTEXT: 'name of the context in the configuration file',
  ACTIONS_ID_TOKEN_REQUEST_URL:
    'set by GitHub Actions with the permission id-token: write; also ACTIONS_ID_TOKEN_REQUEST_TOKEN',
  XDG_CONFIG_HOME: 'folder of the configuration file sluice/config.yaml (~/.config)',
  HTTPS_PROXY: 'proxy of https servers; also HTTP_PROXY and NO_PROXY',
  NODE_EXTRA_CA_CERTS: "path of a file with further certificate authorities, where the server's is private",
  DISPLAY: 'set by the desktop, as WAYLAND_DISPLAY: where login --oidc may open a browser (Linux)',
  NO_COLOR: 'not empty: no colours',
} as const;

/** "": as if it were not set, as compose files and CI variables have it. */
export const given = (env: Environment, name: string): string | undefined => {
  const value = env[name];
  return value === undefined || value === '' ? undefined : value;
};
