/**
 * Server-sent events over fetch. EventSource would hide the server's heartbeats and every status code; here a silence
 * longer than two heartbeats is noticed, and a session that has ended is told from a server that is away.
 */

/** @typedef {import('./types.d.ts').Health} Health */

/**
 * @typedef {object} Listener
 * @property {(type: string, data: any) => void} event
 * @property {(health: Health) => void} health
 * @property {(status: number) => void} refused the server will not have us: signed out (401, 403), or nothing there (404)
 */

const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/**
 * Follows the stream until `leaving`, coming back after every break with the id of the last event.
 * @param {string} path
 * @param {number} heartbeat longest silence that the server promises, in milliseconds
 * @param {Listener} listener
 * @param {AbortSignal} leaving
 * @returns {() => void} come back now, without the pause
 */
export function follow(path, heartbeat, listener, leaving) {
  const state = { last: '', heard: Date.now(), retry: FIRST_PAUSE, hurry: () => {} };
  void run(path, heartbeat, listener, leaving, state);
  return () => state.hurry();
}

/**
 * @param {string} path
 * @param {number} heartbeat
 * @param {Listener} listener
 * @param {AbortSignal} leaving
 * @param {{ last: string, heard: number, retry: number, hurry: () => void }} state
 */
async function run(path, heartbeat, listener, leaving, state) {
  let failures = 0;
  while (!leaving.aborted) {
    const before = state.heard;
    const end = await listen(path, heartbeat, listener, leaving, state);
    if (leaving.aborted) return;
    if (end.kind === 'over') return listener.health({ state: 'over' });
    if (end.kind === 'refused') return listener.refused(end.status);
    failures = state.heard > before ? 0 : failures + 1;
    // A server that is replaced closes its streams politely: stale is only what cannot be had again at once.
    if (end.kind === 'broken' || failures > 0) listener.health({ state: 'stale', since: state.heard, why: end.why });
    const pause = Math.min(LONGEST_PAUSE, state.retry * 2 ** Math.max(0, failures - 1));
    await wait(pause * (0.7 + 0.6 * Math.random()), leaving, state);
  }
}

/**
 * @typedef {{ kind: 'over' } | { kind: 'refused', status: number } | { kind: 'closed' | 'broken', why: string }} End
 */

/**
 * One connection, from its beginning to its end.
 * @param {string} path
 * @param {number} heartbeat
 * @param {Listener} listener
 * @param {AbortSignal} leaving
 * @param {{ last: string, heard: number, retry: number }} state
 * @returns {Promise<End>}
 */
async function listen(path, heartbeat, listener, leaving, state) {
  const silent = new AbortController();
  let quietSince = Date.now();
  const watch = setInterval(
    () => {
      if (Date.now() - quietSince > 2 * heartbeat) silent.abort();
    },
    Math.min(1_000, heartbeat),
  );
  try {
    const response = await fetch(path, {
      headers: { Accept: 'text/event-stream', ...(state.last === '' ? {} : { 'Last-Event-ID': state.last }) },
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.any([leaving, silent.signal]),
    });
    if (response.status === 204) return { kind: 'over' };
    if ([401, 403, 404].includes(response.status)) return { kind: 'refused', status: response.status };
    if (!response.ok || response.body === null) return { kind: 'broken', why: `the server answers ${response.status}` };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { kind: 'closed', why: 'the server closed the connection' };
      quietSince = Date.now();
      state.heard = quietSince;
      listener.health({ state: 'live' });
      text += value;
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) take(block, listener, state);
      if (state.last === 'end') return { kind: 'over' };
    }
  } catch {
    return { kind: 'broken', why: silent.signal.aborted ? 'the server is silent' : 'the connection is lost' };
  } finally {
    clearInterval(watch);
  }
}

/**
 * @param {string} block
 * @param {Listener} listener
 * @param {{ last: string, retry: number }} state
 */
function take(block, listener, state) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, '');
  }
  const { id, event, data, retry } = fields;
  if (retry !== undefined && Number(retry) > 0) state.retry = Number(retry);
  // After the event itself: one that could not be handled is asked for again.
  if (data !== undefined) listener.event(event ?? 'message', JSON.parse(data));
  if (id !== undefined) state.last = id;
}

/**
 * @param {number} ms
 * @param {AbortSignal} leaving
 * @param {{ hurry: () => void }} state
 * @returns {Promise<void>}
 */
function wait(ms, leaving, state) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      leaving.removeEventListener('abort', done);
      state.hurry = () => {};
      resolve();
    };
    const timer = setTimeout(done, ms);
    window.addEventListener('online', done);
    leaving.addEventListener('abort', done);
    state.hurry = done;
  });
}

/**
 * Asks again and again while the page is looked at. For lists, which have no stream.
 * @param {(signal: AbortSignal) => Promise<void>} ask rejects where the server cannot be asked
 * @param {number} every milliseconds
 * @param {{ health: (health: Health) => void, failed: (error: unknown) => boolean }} listener failed: false ends it
 * @param {AbortSignal} leaving
 * @returns {() => void} ask now
 */
export function poll(ask, every, listener, leaving) {
  const state = { hurry: () => {} };
  const run = async () => {
    let heard = Date.now();
    let failures = 0;
    while (!leaving.aborted) {
      try {
        await ask(leaving);
        heard = Date.now();
        failures = 0;
        listener.health({ state: 'live' });
      } catch (error) {
        if (leaving.aborted || !listener.failed(error)) return;
        failures += 1;
        const why = error instanceof Error ? error.message : 'the server cannot be asked';
        listener.health({ state: 'stale', since: heard, why });
      }
      await wait(Math.min(LONGEST_PAUSE, every * 2 ** Math.min(failures, 4)), leaving, state);
      if (document.hidden) await shown(leaving);
    }
  };
  void run();
  return () => state.hurry();
}

/** @param {AbortSignal} leaving @returns {Promise<void>} */
const shown = (leaving) =>
  new Promise((resolve) => {
    const done = () => {
      if (document.hidden && !leaving.aborted) return;
      document.removeEventListener('visibilitychange', done);
      leaving.removeEventListener('abort', done);
      resolve();
    };
    document.addEventListener('visibilitychange', done);
    leaving.addEventListener('abort', done);
  });
