/** Calls of the REST API, as the person who is signed in. */

/** @typedef {import('./types.d.ts').Problem} Problem */

/** What the server said in place of an answer, or that it could not be reached. */
export class Trouble extends Error {
  /** @param {number} status 0: not reached @param {Problem | null} problem @param {string} message */
  constructor(status, problem, message) {
    super(message);
    this.name = 'Trouble';
    this.status = status;
    this.problem = problem;
  }
}

const DEADLINE = 30_000;
/** A form of another site can send no such header. */
const FROM_THE_PAGE = { 'X-Sluice-CSRF': '1' };

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @param {number} [within] milliseconds
 * @returns {Promise<Response>} an answer that is no problem; rejects with Trouble
 */
async function call(path, options = {}, within = DEADLINE) {
  const deadline = AbortSignal.timeout(within);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, { credentials: 'same-origin', cache: 'no-cache', ...options, signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Trouble(
      0,
      null,
      deadline.aborted ? 'The server did not answer in time.' : 'The server cannot be reached.',
    );
  }
  if (response.ok) return response;
  const problem = await problemIn(response);
  throw new Trouble(response.status, problem, problem?.detail ?? `The server answered ${response.status}.`);
}

/** @param {Response} response @returns {Promise<Problem | null>} */
async function problemIn(response) {
  if (response.headers.get('content-type') !== 'application/problem+json') return null;
  return response.json().catch(() => null);
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export const get = async (path, signal) => (await call(path, signal === undefined ? {} : { signal })).json();

/**
 * @param {string} path
 * @param {unknown} body sent as JSON
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>} null: an empty answer
 */
export const post = (path, body, headers = {}) =>
  send(path, JSON.stringify(body), { 'Content-Type': 'application/json', ...headers });

/**
 * A plan as people write it; JSON is YAML too.
 * @param {string} path
 * @param {string} text
 * @param {Record<string, string>} [headers]
 * @param {number} [within] milliseconds
 * @returns {Promise<any>}
 */
export const postYaml = (path, text, headers = {}, within = DEADLINE) =>
  send(path, text, { 'Content-Type': 'application/yaml', ...headers }, within);

/** @param {string} path @param {string} body @param {Record<string, string>} headers @param {number} [within] */
async function send(path, body, headers, within) {
  const response = await call(path, { method: 'POST', body, headers: { ...FROM_THE_PAGE, ...headers } }, within);
  return response.status === 204 ? null : response.json();
}

/** @returns {Promise<import('./types.d.ts').Session>} */
export const readSession = () => get('/ui/session');
/** @param {string} token */
export const signIn = (token) => post('/ui/session', { token });
export const signOut = () => call('/ui/session', { method: 'DELETE', headers: FROM_THE_PAGE });

/** A key that makes repeating a start harmless. (`randomUUID` is missing on plain http.) */
export const newKey = () =>
  `page-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;

/** @param {string} id @param {string} [part] */
export const rolloutPath = (id, part = '') => `/rollouts/${encodeURIComponent(id)}${part === '' ? '' : `/${part}`}`;
