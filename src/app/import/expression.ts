/** The expressions that analysis templates use for conditions (expr-lang): text -> tree. */

export type Expression =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'truth'; readonly value: boolean }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'not' | 'minus'; readonly of: Expression }
  | { readonly kind: 'operation'; readonly operator: Operator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'index'; readonly of: Expression; readonly at: Expression }
  | { readonly kind: 'member'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] };

const PRECEDENCE = [['or'], ['and'], ['==', '!='], ['<', '<=', '>', '>='], ['+', '-'], ['*', '/']] as const;
export type Operator = (typeof PRECEDENCE)[number][number];

/** What is written is no such expression, or one that nothing here can tell the meaning of. */
export class NotUnderstood extends Error {}

const TOKEN =
  /\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_]\w*)|(&&|\|\||==|!=|<=|>=|[-+*/<>!()[\]{},.#]))/y;
const ALIAS: Readonly<Record<string, string>> = { '&&': 'and', '||': 'or', '!': 'not' };

interface Token {
  readonly type: 'number' | 'text' | 'name' | 'sign' | 'end';
  readonly text: string;
}

function tokensOf(source: string): readonly Token[] {
  const tokens: Token[] = [];
  const text = source.trimEnd();
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (found === null) throw new NotUnderstood(`${JSON.stringify(text.slice(at, at + 10))} is not read here`);
    const [, number, quoted, name, sign] = found;
    if (number !== undefined) tokens.push({ type: 'number', text: number });
    else if (quoted !== undefined) tokens.push({ type: 'text', text: quoted.slice(1, -1) });
    else if (name !== undefined && ['and', 'or', 'not'].includes(name)) tokens.push({ type: 'sign', text: name });
    else if (name !== undefined) tokens.push({ type: 'name', text: name });
    else tokens.push({ type: 'sign', text: ALIAS[sign ?? ''] ?? sign ?? '' });
  }
  return [...tokens, { type: 'end', text: 'the end' }];
}

/** Throws NotUnderstood. */
export function parseExpression(source: string): Expression {
  const reader = new Reader(tokensOf(source));
  const whole = reader.operation(0);
  reader.wants('end');
  return whole;
}

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? { type: 'end', text: 'the end' };
  }

  wants(type: Token['type'], text?: string): Token {
    const found = this.#next;
    if (found.type !== type || (text !== undefined && found.text !== text))
      throw new NotUnderstood(`wanted ${text ?? type}; found ${found.text}`);
    this.#at += 1;
    return found;
  }

  #takes(text: string): boolean {
    if (this.#next.type !== 'sign' || this.#next.text !== text) return false;
    this.#at += 1;
    return true;
  }

  operation(level: number): Expression {
    const operators = PRECEDENCE[level];
    if (operators === undefined) return this.#unary();
    let left = this.operation(level + 1);
    for (;;) {
      const operator = operators.find((one) => this.#takes(one));
      if (operator === undefined) return left;
      left = { kind: 'operation', operator, left, right: this.operation(level + 1) };
    }
  }

  #unary(): Expression {
    if (this.#takes('not')) return { kind: 'not', of: this.#unary() };
    if (this.#takes('-')) return { kind: 'minus', of: this.#unary() };
    return this.#postfix(this.#primary());
  }

  #primary(): Expression {
    if (this.#takes('(')) {
      const inner = this.operation(0);
      this.wants('sign', ')');
      return inner;
    }
    if (this.#takes('#')) return { kind: 'name', name: '#' };
    const { type, text } = this.#next;
    this.#at += 1;
    if (type === 'number') return { kind: 'number', value: Number(text) };
    if (type === 'text') return { kind: 'text', value: text };
    if (type !== 'name') throw new NotUnderstood(`wanted a value; found ${text}`);
    if (text === 'true' || text === 'false') return { kind: 'truth', value: text === 'true' };
    return this.#takes('(') ? { kind: 'call', name: text, args: this.#arguments() } : { kind: 'name', name: text };
  }

  #arguments(): readonly Expression[] {
    const args: Expression[] = [];
    while (!this.#takes(')')) {
      if (args.length > 0) this.wants('sign', ',');
      // all(result, {# < 5}): the braces only group.
      const braced = this.#takes('{');
      args.push(this.operation(0));
      if (braced) this.wants('sign', '}');
    }
    return args;
  }

  #postfix(of: Expression): Expression {
    if (this.#takes('[')) {
      const at = this.operation(0);
      this.wants('sign', ']');
      return this.#postfix({ kind: 'index', of, at });
    }
    if (this.#takes('.')) return this.#postfix({ kind: 'member', of, name: this.wants('name').text });
    return of;
  }
}
