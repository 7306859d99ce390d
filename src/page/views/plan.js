/** A plan before it is one's fate: checked against the cluster with nothing written, drawn, judged on the past, started. */
import { get, newKey, postYaml, rolloutPath, Trouble } from '../api.js';
import { timeline } from '../charts/timeline.js';
import { ask } from '../dialog.js';
import { h, render } from '../dom.js';
import { count, duration, plain, weight } from '../format.js';
import { icon } from '../icons.js';
import { outside, prometheusLink } from '../links.js';
import { codeBlock, problemBox } from '../parts.js';
import { capital } from '../words.js';
import { EXAMPLE } from './first-run.js';

/** @typedef {import('../types.d.ts').DryRun} DryRun */
/** @typedef {import('../types.d.ts').BackTest} BackTest */
/** @typedef {import('../types.d.ts').View} View */
/** @typedef {import('../dom.js').Child} Child */

const BACK_TEST = '/analysis/backtest';
/** It looks at hours of the past, and may wait for others. */
const BACK_TEST_WITHIN = 120_000;

/** @type {View} */
export const planView = async ({ root, session, query, title, navigate, announce, leaving }) => {
  title('Plan');
  const from = query.get('from');
  const [given, document_] = await Promise.all([
    from === null
      ? EXAMPLE
      : get(rolloutPath(from, 'plan'), leaving).then((plan) => `${JSON.stringify(plan, null, 2)}\n`),
    get('/openapi.json', leaving),
  ]);
  const canTest = document_.paths?.[BACK_TEST]?.post !== undefined;
  const text = /** @type {HTMLTextAreaElement} */ (
    h(
      'textarea',
      {
        id: 'plan',
        rows: 24,
        spellcheck: 'false',
        autocomplete: 'off',
        autocapitalize: 'off',
        wrap: 'off',
        'aria-describedby': 'plan-help',
      },
      given,
    )
  );
  const result = h('div', { class: 'result' });
  const buttons = h('div', { class: 'buttons' });
  /** The text that the last check accepted: only that can be started. @type {string | null} */
  let accepted = null;
  const draw = (/** @type {boolean} */ busy) =>
    render(
      buttons,
      button('check', 'Check the plan', 'primary', busy || !session.may.start),
      canTest ? button('test', 'Try it on the past', '', busy) : null,
      accepted !== null && accepted === text.value ? button('start', 'Start the rollout', 'danger', busy) : null,
    );
  /** @param {() => Promise<Child>} act */
  const during = async (act) => {
    draw(true);
    try {
      render(result, await act());
    } catch (error) {
      if (!(error instanceof Trouble) || error.status === 401) throw error;
      render(result, refused(error));
      announce(error.problem?.title ?? error.message);
    } finally {
      draw(false);
    }
  };
  buttons.addEventListener('click', (event) => {
    const name = event.target instanceof Element ? event.target.closest('button')?.getAttribute('data-do') : null;
    const sent = text.value;
    if (name === 'check')
      void during(async () => {
        accepted = null;
        const run = await postYaml('/rollouts?dryRun=true', sent);
        accepted = run.accepted ? sent : null;
        announce(run.accepted ? 'The plan is accepted' : 'The plan would be refused');
        return dryRun(run, session, clusterIn(sent));
      });
    if (name === 'test') void during(async () => backTest(await postYaml(BACK_TEST, sent, {}, BACK_TEST_WITHIN)));
    if (name === 'start') startIt(sent, navigate);
  });
  result.addEventListener('click', (event) => {
    const line =
      event.target instanceof Element ? event.target.closest('[data-line]')?.getAttribute('data-line') : null;
    if (line !== null && line !== undefined) select(text, Number(line));
  });
  text.addEventListener('input', () => draw(false));
  render(root, h('h1', {}, 'Plan'));
  root.append(
    h(
      'div',
      { class: 'plan' },
      h(
        'section',
        { class: 'card editor' },
        h('label', { for: 'plan' }, h('h2', {}, 'The plan, as YAML or JSON')),
        text,
        h(
          'p',
          { id: 'plan-help', class: 'note' },
          session.may.start
            ? 'Checking looks at the cluster and at Prometheus, and writes nothing.'
            : `Your role, ${session.principal?.role ?? ''}, may look but not check or start plans.`,
        ),
        buttons,
      ),
      h('section', { class: 'card', 'aria-label': 'What came of it', 'aria-live': 'polite' }, result),
    ),
  );
  render(result, h('p', { class: 'none' }, 'What the plan would do, and what the cluster says of it, is shown here.'));
  draw(false);
};

/** @param {string} name @param {string} label @param {string} look @param {boolean} disabled */
const button = (name, label, look, disabled) =>
  h('button', { type: 'button', class: look, 'data-do': name, 'data-key': name, disabled }, label);

/** Which Prometheus to lead to; the cluster is a plain word in every notation. @param {string} text */
const clusterIn = (text) => /["']?\bcluster["']?\s*:\s*["']?([a-z0-9-]+)/.exec(text)?.[1] ?? 'default';

/** @param {string} text @param {import('../types.d.ts').Context['navigate']} navigate */
function startIt(text, navigate) {
  // One key for this question: pressing twice, or a lost answer, starts it once.
  const key = newKey();
  ask({
    title: 'Start the rollout',
    body: h('p', {}, 'The plan as it was checked begins now, with real traffic.'),
    confirm: 'Start',
    async act() {
      const rollout = await postYaml('/rollouts', text, { 'Idempotency-Key': key });
      navigate(`/ui/rollouts/${encodeURIComponent(rollout.id)}`);
    },
  });
}

/** @param {HTMLTextAreaElement} text @param {number} line from 1 */
function select(text, line) {
  const lines = text.value.split('\n');
  const from = lines.slice(0, line - 1).reduce((sum, l) => sum + l.length + 1, 0);
  text.focus();
  text.setSelectionRange(from, from + (lines[line - 1]?.length ?? 0));
  text.scrollTop = Math.max(0, (line - 4) * (text.scrollHeight / Math.max(1, lines.length)));
}

// ── what came of it ─────────────────────────────────────────────────────────────────────────────────────────────────

/** @param {Trouble} trouble */
function refused(trouble) {
  const { problem } = trouble;
  const errors = problem?.errors ?? [];
  return [
    problemBox(trouble),
    errors.length === 0
      ? null
      : h(
          'ul',
          { class: 'faults' },
          errors.map(({ pointer, detail, line }) =>
            h(
              'li',
              {},
              line === undefined
                ? null
                : h('button', { type: 'button', class: 'quiet', 'data-line': line }, `line ${line}`),
              h('code', {}, pointer === '' || pointer === undefined ? 'the whole text' : pointer),
              ` ${detail}`,
            ),
          ),
        ),
    findingList(problem?.findings ?? []),
  ];
}

/** @param {DryRun['findings']} findings */
const findingList = (findings) =>
  h(
    'ul',
    { class: 'findings' },
    findings.map(({ check, level, message, remediation, ignored }) =>
      h(
        'li',
        { class: `finding finding-${level}` },
        icon(level, level),
        h(
          'div',
          {},
          h('strong', {}, ignored === true ? `${check} (ignored by policy)` : check),
          h('p', {}, message),
          remediation === undefined ? null : codeBlock(remediation, `the remedy of ${check}`),
        ),
      ),
    ),
  );

/** @param {DryRun} run @param {import('../types.d.ts').Session} session @param {string} cluster */
function dryRun(run, session, cluster) {
  return [
    h(
      'p',
      { class: `sentence ${run.accepted ? 'good' : 'bad'}` },
      icon(run.accepted ? 'succeeded' : 'failed'),
      run.accepted
        ? ` Accepted: promoted after ${duration(run.minimumMs)} at the earliest. The canary has ${weight(run.canaryWeightNow)} now.`
        : ' Refused: see what fails below. Nothing was written.',
    ),
    h('h2', {}, 'Steps'),
    timeline(run),
    h('h2', {}, 'What the cluster says'),
    findingList(run.findings),
    comparison(run),
    h('h2', {}, 'What the checks say of the stable version now'),
    run.checks.length === 0 ? h('p', { class: 'none' }, 'The plan has no checks.') : null,
    run.checks.map(({ check, query, stableValue, samples, message }) => {
      const link = prometheusLink(session, cluster, query);
      return h(
        'div',
        { class: 'preview' },
        h(
          'h3',
          {},
          check,
          ' ',
          h('span', { class: 'number' }, stableValue === null ? 'no value' : plain(stableValue)),
          samples === null ? null : h('span', { class: 'note' }, ` of ${count(samples)} requests`),
        ),
        h('p', {}, message),
        codeBlock(query, `the query of ${check}`),
        link === null ? null : outside(link, 'Prometheus', `Prometheus: the query of ${check}`),
      );
    }),
  ];
}

/** How canary and stable would be compared, and what that would have done in the past. @param {DryRun} run */
function comparison({ evidence }) {
  if (evidence === null) return null;
  const { plan, backTest: test, whyNot } = evidence;
  return [
    h('h2', {}, 'The comparison with the stable version'),
    h('p', {}, capital(plan.words)),
    test === null ? null : test.words.map((sentence) => h('p', {}, sentence)),
    whyNot === null ? null : h('p', { class: 'note' }, `It could not be tried on the past: ${whyNot}`),
  ];
}

/** What the plan would have done to the stable version's own pods. @param {BackTest} test */
function backTest({ words, past, windows, healthy, ladder, findings, notReplayed }) {
  return [
    h('h2', {}, 'On the past'),
    findingList(findings.filter(({ level }) => level !== 'pass')),
    words.map((sentence) => h('p', { class: 'sentence' }, sentence)),
    h(
      'p',
      { class: 'note' },
      `${count(healthy.trials)} healthy trials over ${duration(past.lengthMs)} of ${past.pods} pods, ${past.lived} of which lived long enough, in ${windows} ${windows === 1 ? 'window' : 'windows'}: ${healthy.rolledBack} rolled back (${plain(healthy.sharePercent)} %, between ${plain(healthy.intervalPercent.low)} % and ${plain(healthy.intervalPercent.high)} %), ${healthy.promoted} promoted, ${healthy.unproven} not proven, ${healthy.unfinished} without an end.`,
    ),
    ladder.length === 0 ? null : rungs(ladder),
    notReplayed.map(({ check, reason }) => h('p', { class: 'note' }, `${check} could not be tried: ${reason}`)),
  ];
}

/** @param {BackTest['ladder']} ladder */
const rungs = (ladder) =>
  h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Regressions' },
    h(
      'table',
      {},
      h('caption', { class: 'unseen' }, 'What the plan does to canaries with a regression'),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ['Regression', 'Rolled back', 'After', 'Harm until then'].map((text) => h('th', { scope: 'col' }, text)),
        ),
      ),
      h(
        'tbody',
        {},
        ladder.map(({ kind, increasePercent, trials, rolledBack, delayMs, harm }) =>
          h(
            'tr',
            {},
            h(
              'th',
              { scope: 'row' },
              `${plain(increasePercent)} % more ${kind === 'errors' ? 'errors' : 'slow responses'}`,
            ),
            h('td', {}, `${rolledBack} of ${trials}`),
            h('td', {}, delayMs === null ? '–' : duration(delayMs)),
            h('td', {}, harm === null ? '–' : `${count(harm)} requests`),
          ),
        ),
      ),
    ),
  );
