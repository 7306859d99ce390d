/**
 * A reader of JSON text that knows where things stand. `JSON.parse` gives the value, but takes the last of two equal
 * keys without a word and often does not say where an error is.
 */

export interface JsonFault {
  readonly offset: number;
  readonly code: 'syntax' | 'duplicate_key';
  readonly message: string;
}

type Frame =
  | { readonly kind: 'object'; readonly keys: Set<string>; key: string }
  | { readonly kind: 'array'; index: number };
type Wanted = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or }' | ', or ]' | 'end';

const SPACE = /[ \t\n\r]*/y;
// One character per turn: a quantifier within the group would take exponential time on an unterminated string.
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

const matchAt = (pattern: RegExp, text: string, at: number): string | null => {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
};

const escaped = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');
const pointerOf = (stack: readonly Frame[]): string =>
  stack.map((f) => `/${f.kind === 'object' ? escaped(f.key) : f.index}`).join('');

/**
 * Reads the whole text. null: it is JSON and no object has a key twice.
 * `onValue` is called at the start of each value with its JSON pointer; leave it out where nobody asks: pointers cost.
 */
export function readJson(text: string, onValue?: (pointer: string, offset: number) => void): JsonFault | null {
  const stack: Frame[] = [];
  let at = 0;
  let wanted: Wanted = 'value';
  const syntax = (): JsonFault => ({
    offset: at,
    code: 'syntax',
    message: `wanted ${wanted === 'end' ? 'the end of the text' : wanted}; found ${at >= text.length ? 'the end of the text' : JSON.stringify(text[at])}`,
  });
  const afterValue = (): Wanted => {
    const top = stack.at(-1);
    return top === undefined ? 'end' : top.kind === 'object' ? ', or }' : ', or ]';
  };

  for (;;) {
    at += matchAt(SPACE, text, at)?.length ?? 0;
    const char = text[at];
    if (wanted === 'end') return at >= text.length ? null : syntax();
    const top = stack.at(-1);

    if (char === '}' && top?.kind === 'object' && (wanted === 'key or }' || wanted === ', or }')) {
      stack.pop();
      at += 1;
      wanted = afterValue();
    } else if (char === ']' && top?.kind === 'array' && (wanted === 'value or ]' || wanted === ', or ]')) {
      stack.pop();
      at += 1;
      wanted = afterValue();
    } else if (wanted === 'key' || wanted === 'key or }') {
      const raw = matchAt(STRING, text, at);
      if (raw === null || top?.kind !== 'object') return syntax();
      const key = JSON.parse(raw) as string;
      if (top.keys.has(key))
        return {
          offset: at,
          code: 'duplicate_key',
          message: `the key ${JSON.stringify(key)} is there twice; keep one`,
        };
      top.keys.add(key);
      top.key = key;
      at += raw.length;
      wanted = ':';
    } else if (wanted === ':') {
      if (char !== ':') return syntax();
      at += 1;
      wanted = 'value';
    } else if (wanted === ', or }' || wanted === ', or ]') {
      if (char !== ',' || top === undefined) return syntax();
      at += 1;
      if (top.kind === 'array') top.index += 1;
      wanted = top.kind === 'object' ? 'key' : 'value';
    } else {
      onValue?.(pointerOf(stack), at);
      if (char === '{') {
        stack.push({ kind: 'object', keys: new Set(), key: '' });
        at += 1;
        wanted = 'key or }';
      } else if (char === '[') {
        stack.push({ kind: 'array', index: 0 });
        at += 1;
        wanted = 'value or ]';
      } else {
        const raw = matchAt(char === '"' ? STRING : SCALAR, text, at);
        if (raw === null) return syntax();
        at += raw.length;
        wanted = afterValue();
      }
    }
  }
}
