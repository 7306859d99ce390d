/** What happened, and who did it; and every write to the mesh. */
import { h } from '../dom.js';
import { clock, utc, weight } from '../format.js';
import { icon } from '../icons.js';
import { outside, ownTrace } from '../links.js';
import { capital, FACT } from '../words.js';

/** @typedef {import('./rollout.js').State} State */
/** @typedef {import('../types.d.ts').Fact} Fact */

/** @param {State} state @param {import('../types.d.ts').Session} _session */
export const factSection = ({ facts }, _session) =>
  h(
    'section',
    { class: 'card', 'data-key': 'facts', 'aria-labelledby': 'facts-title' },
    h('h2', { id: 'facts-title' }, 'What happened ', h('span', { class: 'count' }, facts.length)),
    h(
      'ol',
      { class: 'facts', reversed: true, tabindex: '0', 'aria-labelledby': 'facts-title' },
      facts.toReversed().map(factItem),
    ),
  );

/** @param {Fact} fact */
function factItem(fact) {
  const person = fact.actor !== 'sluice';
  const warnings = Array.isArray(fact.data['warnings']) ? fact.data['warnings'] : [];
  return h(
    'li',
    { class: `fact fact-${fact.type} ${person ? 'by-person' : ''}`, 'data-key': fact.seq },
    h(
      'div',
      { class: 'fact-line' },
      h('time', { datetime: fact.at, title: utc(fact.at) }, clock(Date.parse(fact.at))),
      h('strong', {}, capital(FACT[fact.type] ?? fact.type)),
      person ? h('span', { class: 'actor' }, icon('person'), fact.actor) : null,
    ),
    h('p', {}, fact.message),
    warnings.map((warning) => h('p', { class: 'note' }, icon('warn'), ` ${String(warning)}`)),
  );
}

/** @param {State} state */
export const writeSection = ({ rollout, writes }) =>
  h(
    'section',
    { class: 'card', 'data-key': 'writes', 'aria-labelledby': 'writes-title' },
    h('h2', { id: 'writes-title' }, 'Writes to the mesh ', h('span', { class: 'count' }, writes.length)),
    writes.length === 0
      ? h('p', { class: 'none' }, 'Nothing has been written.')
      : h(
          'div',
          { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Writes' },
          h(
            'table',
            {},
            h('caption', { class: 'unseen' }, `Writes to ${writes.at(-1)?.object ?? ''}, newest first`),
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                ['Time', 'Canary', 'Result'].map((text) => h('th', { scope: 'col' }, text)),
              ),
            ),
            h(
              'tbody',
              {},
              writes
                .slice(-50)
                .reverse()
                .map((w) => {
                  const trace = ownTrace(rollout, w.traceId);
                  return h(
                    'tr',
                    {},
                    h('td', {}, h('time', { datetime: w.at, title: utc(w.at) }, clock(Date.parse(w.at)))),
                    h('td', {}, `${weight(w.before)} → ${weight(w.canaryWeight)}`),
                    h(
                      'td',
                      {},
                      w.result,
                      w.result === 'applied'
                        ? h('span', { class: 'note' }, ` ${Math.round(w.tookMs)} ms`)
                        : h('p', { class: 'note' }, w.message),
                      trace === null
                        ? null
                        : [' ', outside(trace, 'trace', `trace of the write at ${clock(Date.parse(w.at))}`)],
                    ),
                  );
                }),
            ),
          ),
        ),
  );
