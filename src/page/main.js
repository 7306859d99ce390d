/** The page's frame: who is signed in, which view stands at which address, and whether what is shown is fresh. */
import { readSession, signOut, Trouble } from './api.js';
import { h, render } from './dom.js';
import { clock, duration } from './format.js';
import { icon } from './icons.js';
import { problemBox } from './parts.js';
import { auditView } from './views/audit.js';
import { cliView } from './views/cli.js';
import { fleetView } from './views/fleet.js';
import { fleetsView } from './views/fleets.js';
import { historyView } from './views/history.js';
import { listView } from './views/list.js';
import { loginView } from './views/login.js';
import { migrationView } from './views/migration.js';
import { migrationsView } from './views/migrations.js';
import { planView } from './views/plan.js';
import { rolloutView } from './views/rollout.js';

/** @typedef {import('./types.d.ts').Session} Session */
/** @typedef {import('./types.d.ts').Health} Health */
/** @typedef {import('./types.d.ts').View} View */

const element = (/** @type {string} */ id) => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the shell has no #${id}`);
  return found;
};
const [top, main, healthBox, announcer] = [element('top'), element('main'), element('health'), element('announcer')];

/** @type {Session | null} */
let session = null;
let leaving = new AbortController();
/** @type {Health} */
let health = { state: 'over' };
/** @type {() => void} */
let retry = () => {};

// ── addresses ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** @type {readonly { readonly pattern: RegExp, readonly name: string, readonly open: (id: string) => View }[]} */
const ROUTES = [
  { pattern: /^\/ui\/?$/, name: 'list', open: () => listView },
  { pattern: /^\/ui\/rollouts\/([^/]+)\/?$/, name: 'rollout', open: (id) => rolloutView(id) },
  { pattern: /^\/ui\/fleets\/?$/, name: 'fleets', open: () => fleetsView },
  { pattern: /^\/ui\/fleets\/([^/]+)\/?$/, name: 'fleet', open: (id) => fleetView(id) },
  { pattern: /^\/ui\/migrations\/?$/, name: 'migrations', open: () => migrationsView },
  { pattern: /^\/ui\/migrations\/([^/]+)\/?$/, name: 'migration', open: (id) => migrationView(id) },
  { pattern: /^\/ui\/plan\/?$/, name: 'plan', open: () => planView },
  { pattern: /^\/ui\/history\/?$/, name: 'history', open: () => historyView },
  { pattern: /^\/ui\/audit\/?$/, name: 'audit', open: () => auditView },
  { pattern: /^\/ui\/cli\/?$/, name: 'cli', open: () => cliView },
];

/** @param {string} path @param {{ readonly replace?: boolean }} [options] */
function navigate(path, { replace = false } = {}) {
  if (replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  void show(true);
}

/** @param {boolean} moved somebody went here from another view: the focus goes along */
async function show(moved) {
  leaving.abort();
  leaving = new AbortController();
  setHealth({ state: 'over' });
  const { pathname, search } = location;
  const query = new URLSearchParams(search);
  const view = viewAt(pathname, query);
  if (view === null) return;
  const root = h('div', { class: 'view' });
  main.replaceChildren(root);
  drawTop();
  if (moved) {
    main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
  const here = leaving.signal;
  try {
    await view({
      root,
      session: session ?? NOBODY,
      query,
      navigate,
      title: (text) => {
        document.title = `${text} · Sluice`;
      },
      announce,
      health: (next, again) => {
        if (here.aborted) return;
        if (again !== undefined) retry = again;
        setHealth(next);
      },
      leaving: here,
    });
  } catch (error) {
    if (here.aborted) return;
    if (error instanceof Trouble && error.status === 401) return signedOut();
    if (!(error instanceof Trouble)) throw error;
    render(root, problemBox(error));
  }
}

/** null: somewhere else is shown instead. @param {string} pathname @param {URLSearchParams} query @returns {View | null} */
function viewAt(pathname, query) {
  if (/^\/ui\/login\/?$/.test(pathname)) return loginView(entered);
  if (session?.principal === null || session === null) {
    const next = `${pathname}${location.search}`;
    navigate(`/ui/login${next === '/ui/' ? '' : `?next=${encodeURIComponent(next)}`}`, { replace: true });
    return null;
  }
  if (query.has('signedOut')) history.replaceState(null, '', pathname);
  for (const { pattern, open } of ROUTES) {
    const match = pattern.exec(pathname);
    if (match !== null) return open(decodeURIComponent(match[1] ?? ''));
  }
  return nothingHere;
}

/** @type {View} */
const nothingHere = ({ root, title }) => {
  title('Nothing here');
  render(root, h('h1', {}, 'Nothing is at this address'), h('p', {}, h('a', { href: '/ui/' }, 'All rollouts')));
};

/** @type {Session} */
const NOBODY = {
  principal: null,
  may: { start: false, pause: false, promote: false, abort: false, giveUp: false, audit: false },
  expiresAt: null,
  heartbeatMs: 15_000,
  version: null,
  links: { prometheus: {} },
  signOn: null,
};

// ── the session ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Somebody has signed in. @param {string} next where they wanted to go */
async function entered(next) {
  session = await readSession();
  navigate(next, { replace: true });
  announce(`Signed in as ${session.principal?.name ?? 'nobody'}`);
}

/** Nobody is signed in any more; how one signs in stays known. */
function nobody() {
  session = { ...NOBODY, signOn: session?.signOn ?? null };
}

/** The server no longer knows this session. */
export function signedOut() {
  nobody();
  announce('The session has ended. Sign in again.');
  const here = `${location.pathname}${location.search}`;
  navigate(`/ui/login?ended=1&next=${encodeURIComponent(here)}`, { replace: true });
}

// ── the frame ───────────────────────────────────────────────────────────────────────────────────────────────────────

const NAV = [
  { href: '/ui/', label: 'Rollouts', is: /^\/ui\/(rollouts\/.*)?$/ },
  { href: '/ui/fleets', label: 'Fleets', is: /^\/ui\/fleets/ },
  { href: '/ui/migrations', label: 'Migrations', is: /^\/ui\/migrations/ },
  { href: '/ui/plan', label: 'Plan', is: /^\/ui\/plan/ },
  { href: '/ui/history', label: 'History', is: /^\/ui\/history/ },
];
/** Only for those who may read it. */
const AUDIT = { href: '/ui/audit', label: 'Audit', is: /^\/ui\/audit/ };

function drawTop() {
  const who = session?.principal ?? null;
  const { pathname } = location;
  render(
    top,
    h(
      'a',
      { class: 'brand', href: '/ui/' },
      h('img', { src: '/ui/assets/icon.svg', alt: '', width: 26, height: 26 }),
      'Sluice',
    ),
    who === null
      ? h('span', {})
      : h(
          'nav',
          { 'aria-label': 'Main' },
          [...NAV, ...(session?.may.audit ? [AUDIT] : [])].map(({ href, label, is }) =>
            h('a', { href, ...(is.test(pathname) ? { 'aria-current': 'page' } : {}) }, label),
          ),
        ),
    h('span', { class: 'space' }),
    who === null
      ? h('span', {})
      : h(
          'span',
          { class: 'who' },
          icon('person'),
          h('span', { class: 'who-name' }, who.name),
          h('span', { class: 'role' }, who.role),
        ),
    h('button', { type: 'button', class: 'quiet', id: 'theme' }, icon('theme'), h('span', {}, themeName())),
    who === null ? h('span', {}) : h('button', { type: 'button', class: 'quiet', id: 'sign-out' }, 'Sign out'),
  );
  // On a phone the row of views is wider than the screen.
  top.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

const THEMES = ['auto', 'light', 'dark'];
const themeName = () => document.documentElement.dataset['theme'] ?? 'auto';
function nextTheme() {
  const next = THEMES[(THEMES.indexOf(themeName()) + 1) % THEMES.length] ?? 'auto';
  if (next === 'auto') {
    delete document.documentElement.dataset['theme'];
    localStorage.removeItem('sluice-theme');
  } else {
    document.documentElement.dataset['theme'] = next;
    localStorage.setItem('sluice-theme', next);
  }
  drawTop();
  announce(`Theme: ${next}`);
}

/** @param {string} text */
function announce(text) {
  announcer.textContent = '';
  // Saying the same twice is two pieces of news.
  setTimeout(() => {
    announcer.textContent = text;
  }, 30);
}

/** @param {Health} next */
function setHealth(next) {
  health = next;
  drawHealth();
}

/** Stale looks stale: a banner, and everything live loses its colour. */
function drawHealth() {
  document.documentElement.toggleAttribute('data-stale', health.state === 'stale');
  if (health.state !== 'stale') return render(healthBox);
  const { since, why } = health;
  render(
    healthBox,
    h(
      'div',
      { class: 'banner' },
      icon('warn'),
      h('p', {}, h('strong', {}, 'Not live. '), `${why}. What you see is from ${clock(since)}. Trying to reconnect.`),
      h('span', { class: 'since', 'aria-hidden': 'true' }, `${duration(Date.now() - since)} ago`),
      h('button', { type: 'button', id: 'reconnect' }, 'Reconnect now'),
    ),
  );
}

// ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────────

document.addEventListener('click', (event) => {
  const { target } = event;
  if (!(target instanceof Element)) return;
  const link = target.closest('a');
  if (link !== null && isOurs(link) && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    if (link.getAttribute('href') !== `${location.pathname}${location.search}`)
      navigate(link.getAttribute('href') ?? '/ui/');
    return;
  }
  const button = target.closest('button');
  if (button?.id === 'theme') nextTheme();
  if (button?.id === 'reconnect') retry();
  if (button?.id === 'sign-out') void leave();
  const copy = button?.getAttribute('data-copy');
  if (copy !== null && copy !== undefined) void copied(copy);
});

/** @param {HTMLAnchorElement} link */
const isOurs = (link) => (link.getAttribute('href') ?? '').startsWith('/ui/') && link.target === '';

async function leave() {
  await signOut();
  nobody();
  navigate('/ui/login');
  announce('Signed out');
}

/** @param {string} text */
async function copied(text) {
  // Plain http has no clipboard of its own.
  if (navigator.clipboard === undefined)
    return announce('This browser copies only over https. Select the text instead.');
  await navigator.clipboard.writeText(text);
  announce('Copied');
}

window.addEventListener('popstate', () => void show(true));
window.addEventListener('sluice-signed-out', signedOut);
setInterval(() => {
  if (health.state === 'stale') drawHealth();
}, 1_000);

/** Until the server answers for the first time. */
async function start() {
  for (let pause = 1_000; ; pause = Math.min(15_000, pause * 2)) {
    try {
      session = await readSession();
      return void show(false);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      render(main, problemBox(error), h('p', { class: 'note' }, 'Trying again.'));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

void start();
