/** The bodies of Slack's HTTP requests: forms, one of which holds JSON. */

export const fieldsOf = (body: Buffer): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(body.toString('utf8')));

/** undefined: there is none. */
export function interactionIn(body: Buffer): unknown {
  const text = fieldsOf(body)['payload'];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Slack asks now and then whether the address has a good certificate; there is nothing to do. */
export const isCertificateCheck = (body: Buffer): boolean => fieldsOf(body)['ssl_check'] === '1';
