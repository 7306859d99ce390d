/** Answers a person through the address that came with the request. */
import type { Respond } from '../../app/inbound.ts';
import type { Millis } from '../../domain/plan.ts';

export interface ResponderOptions {
  /** Base address of the Web API where it is not Slack's own (GovSlack, a test): its origin may be answered, too. */
  readonly apiUrl?: string | undefined;
  readonly timeout?: Millis | undefined;
}

const SLACK = 'https://hooks.slack.com';
const TIMEOUT: Millis = 5000;

/**
 * Only the person sees the answer. false: the address is not one of Slack's (it is then not called at all), or Slack
 * takes no more answers on it. Throws where a later attempt may succeed.
 */
export function slackResponder({ apiUrl, timeout = TIMEOUT }: ResponderOptions = {}): Respond {
  const allowed = new Set([SLACK, ...(apiUrl === undefined ? [] : [new URL(apiUrl).origin])]);
  return async (address, text) => {
    const url = URL.parse(address);
    if (url === null || !allowed.has(url.origin) || url.username !== '' || url.password !== '') return false;
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify({ response_type: 'ephemeral', replace_original: false, text }),
      // An open redirect anywhere at Slack must not turn into a request to somewhere else.
      redirect: 'error',
      signal: AbortSignal.timeout(timeout),
    });
    await response.body?.cancel();
    if (response.ok) return true;
    if (response.status === 429 || response.status >= 500)
      throw new Error(`Slack answers ${response.status} to an answer; it is tried again`);
    return false;
  };
}
