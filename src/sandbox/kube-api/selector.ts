/** Label selectors: `a=b,c!=d,e in (f,g),h notin (i),j,!k`. */
import type { JsonObject } from './json.ts';
import { badRequest } from './refusal.ts';

export type LabelTest = (labels: JsonObject) => boolean;

const TERM =
  /\s*(?:(!)\s*([\w./-]+)|([\w./-]+)\s+(in|notin)\s*\(([^)]*)\)|([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)|([\w./-]+))\s*(?:,|$)/y;

/** Throws a Refusal (400) on a selector that is none. */
export function labelTest(selector: string | null): LabelTest {
  if (selector === null || selector.trim() === '') return () => true;
  const tests: LabelTest[] = [];
  TERM.lastIndex = 0;
  while (TERM.lastIndex < selector.length) {
    const found = TERM.exec(selector);
    if (found === null) throw badRequest(`unable to parse requirement: ${selector}`);
    tests.push(term(found));
  }
  return (labels) => tests.every((test) => test(labels));
}

function term([, not, absent, key, operator, values, plain, sign, value, present]: RegExpExecArray): LabelTest {
  if (not !== undefined) return (labels) => labels[absent as string] === undefined;
  if (key !== undefined) {
    const wanted = (values ?? '').split(',').map((item) => item.trim());
    const isIn: LabelTest = (labels) => wanted.includes(String(labels[key]));
    return operator === 'in' ? isIn : (labels) => !isIn(labels);
  }
  if (plain !== undefined) return (labels) => (labels[plain] === value) !== (sign === '!=');
  return (labels) => labels[present as string] !== undefined;
}
