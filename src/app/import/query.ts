/** Queries with the placeholders of others -> PromQL with those of a plan. */

/** What stands for one placeholder. */
export interface Meaning {
  /** The value as it is now. */
  readonly literal: string;
  /** Name of the placeholder of a plan that always has that value; null: none has. */
  readonly placeholder: string | null;
  /** It may stand outside a string too. */
  readonly anywhere?: true;
}

export type Translated = { readonly ok: true; readonly query: string } | { readonly ok: false; readonly why: string };

const LONGEST = 4000;

/** `meaning`: null: it has none that is known here. */
export function translate(query: string, meaning: (name: string) => Meaning | null): Translated {
  let out = '';
  let at = 0;
  for (const found of query.matchAll(/\{\{-?\s*([^{}]*?)\s*-?\}\}/g)) {
    const [written, name = ''] = found;
    const means = meaning(name);
    if (means === null) return { ok: false, why: `the query has ${written}, which has no value here` };
    out += query.slice(at, found.index);
    at = found.index + written.length;
    const { literal, placeholder, anywhere } = means;
    out += placeholder !== null && (anywhere === true || inString(out)) ? `{{${placeholder}}}` : literal;
  }
  out += query.slice(at);
  if (out.replaceAll(/\{\{[\w.:]+\}\}/g, '').includes('{{'))
    return { ok: false, why: 'the query has "{{" that is no simple placeholder' };
  return out.length > LONGEST
    ? { ok: false, why: `the query has ${out.length} characters; a plan takes ${LONGEST}` }
    : { ok: true, query: out.trim() };
}

/** Does `text` end within a string of PromQL in which placeholders are filled in? */
function inString(text: string): boolean {
  let quote = '';
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i] ?? '';
    if (quote === '') quote = ['"', "'", '`', '#'].includes(char) ? char : '';
    else if (char === '\\' && (quote === '"' || quote === "'")) i += 1;
    else if (char === (quote === '#' ? '\n' : quote)) quote = '';
  }
  return quote === '"' || quote === "'";
}
