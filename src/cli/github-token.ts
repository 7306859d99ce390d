/**
 * The id token that GitHub Actions makes for a job, asked for by the command itself. It lives for minutes and a rollout
 * for hours, so it is asked for again before it ends. It is sent to the server alone, and never shown.
 */
import type { Millis } from '../domain/plan.ts';
import type { Environment } from './environment.ts';
import { given } from './environment.ts';
import { Failure, usage } from './failure.ts';
import { tokenText } from './settings.ts';
import type { Silence, TokenSource } from './wire/wire.ts';
import { openWire } from './wire/wire.ts';

/** Asked for anew when less than this is left: a long poll begins with a token that must still be good at its end. */
const MARGIN: Millis = 60_000;
const DEADLINE: Millis = 10_000;

const PERMISSION = 'In the workflow: permissions: { id-token: write, contents: read }';

/** Throws a Failure where this is no such job, and later where GitHub refuses; passing trouble is a silence. */
export function githubTokens(audience: string, env: Environment): TokenSource {
  const [address, secret] = [given(env, 'ACTIONS_ID_TOKEN_REQUEST_URL'), given(env, 'ACTIONS_ID_TOKEN_REQUEST_TOKEN')];
  if (address === undefined || secret === undefined || !URL.canParse(address))
    throw usage(
      '--oidc-audience (SLUICE_OIDC_AUDIENCE) is given, but this is no job of GitHub Actions that may have an id token',
      PERMISSION,
      'In GitLab CI: id_tokens: { SLUICE_TOKEN: { aud: ... } }, and no audience here; elsewhere SLUICE_TOKEN',
    );
  const url = new URL(address);
  url.searchParams.set('audience', audience);
  let have: { readonly token: string; readonly until: number } | null = null;
  let pending: Promise<string | Silence> | null = null;

  async function renewed(of: string): Promise<string | Silence> {
    const found = await ask(url, of, env).finally(() => {
      pending = null;
    });
    if (typeof found === 'string') have = { token: found, until: expiryOf(found) };
    return found;
  }
  return async () => {
    const left = have === null ? 0 : have.until - Date.now();
    if (have !== null && left > MARGIN) return have.token;
    pending ??= renewed(secret);
    const found = await pending;
    return typeof found !== 'string' && have !== null && left > 0 ? have.token : found;
  };
}

async function ask(url: URL, secret: string, env: Environment): Promise<string | Silence> {
  const wire = openWire(new URL(url.origin), secret, 'sluice', env);
  try {
    const answer = await wire.send({ method: 'GET', path: `${url.pathname}${url.search}`, within: DEADLINE });
    const silence = (message: string): Silence => ({ kind: 'silence', code: 'ID_TOKEN', message, hopeless: false });
    if (answer.kind === 'silence') return silence(`GitHub gives no id token: ${answer.message}`);
    if (answer.status === 200) return tokenText(valueIn(answer.text), "GitHub's id token");
    if (answer.status === 429 || answer.status >= 500) return silence(`GitHub gives no id token: ${answer.status}`);
    throw new Failure('unauthorised', `GitHub gives no id token for this job: ${answer.status}`, [PERMISSION]);
  } finally {
    wire.close();
  }
}

function valueIn(text: string): string {
  try {
    const { value } = JSON.parse(text) as { value?: unknown };
    return typeof value === 'string' ? value : '';
  } catch {
    return '';
  }
}

/** When a token ends, by Date.now(), as it says of itself; 0: it does not say. */
function expiryOf(token: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const { exp } = claims as { exp?: unknown };
    return typeof exp === 'number' ? exp * 1000 : 0;
  } catch {
    return 0;
  }
}
