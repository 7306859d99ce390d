/** The reading of a custom query: exactly one number, or why there is none. */
import type { Reading } from '../../domain/observation.ts';
import type { Answer } from './answer.ts';

export function customReading(server: string, query: string, answer: Answer): Reading {
  if (!answer.ok) return { ok: false, code: answer.code, message: answer.message, query };
  const [row, second] = answer.rows;
  if (row === undefined) {
    const message =
      `the query found no series at ${server}; check its labels, or that the metric exists ` +
      '(a counter of failures may not exist before the first failure: append "or vector(0)" only if another check watches the traffic)';
    return { ok: false, code: 'no_data', message, query };
  }
  if (second !== undefined) {
    const message = `the query gives ${answer.rows.length} series at ${server}, for example ${labels(row.labels)} and ${labels(second.labels)}; wrap it in sum(...) or max(...)`;
    return { ok: false, code: 'several_series', message, query };
  }
  const { value } = row;
  if (Number.isNaN(value)) {
    const message = `the query gives NaN at ${server}: 0 divided by 0, as a rule, when there is no traffic; ask for the dividend only where the divisor is > 0`;
    return { ok: false, code: 'not_a_number', message, query };
  }
  if (!Number.isFinite(value)) {
    const message = `the query gives ${value} at ${server}: a division by 0, as a rule; ask for it only where the divisor is > 0`;
    return { ok: false, code: 'infinite', message, query };
  }
  return { ok: true, value, samples: null, query };
}

const labels = (set: Readonly<Record<string, string>>): string => JSON.stringify(set).slice(0, 120);
