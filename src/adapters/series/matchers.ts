/** Prometheus label matchers, applied here: series that are read raw are told apart without asking again. */

export type Labels = Readonly<Record<string, string>>;

/** Says whether labels fit. An absent label is the empty text, as in Prometheus. */
export type Fits = (labels: Labels) => boolean;

const MATCHER = /^(?<label>[a-zA-Z_]\w*)(?<op>=~|!~|!=|=)"(?<value>(?:[^"\\]|\\.)*)"$/;

/** `matchers`: complete and constant, as views have them: `code=~"5.."`. Throws for text that is none: a mistake in a view. */
export function fitsAll(matchers: readonly string[]): Fits {
  const tests = matchers.map(fits);
  return (labels) => tests.every((test) => test(labels));
}

/** As Prometheus reads it: numeric escapes, which values from plans are written with, are the characters that they stand for. */
const unescaped = (value: string): string =>
  value.replaceAll(
    /\\(?:x([\dA-Fa-f]{2})|u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8})|(.))/g,
    (_, x?: string, u?: string, long?: string, plain?: string) =>
      plain ?? String.fromCodePoint(Number.parseInt(x ?? u ?? long ?? '', 16)),
  );

function fits(matcher: string): Fits {
  const { label, op, value } = MATCHER.exec(matcher)?.groups ?? {};
  if (label === undefined || value === undefined)
    throw new Error(`wanted a matcher like code=~"5..", found ${matcher}: correct the view`);
  const plain = unescaped(value);
  switch (op) {
    case '=':
      return (labels) => (labels[label] ?? '') === plain;
    case '!=':
      return (labels) => (labels[label] ?? '') !== plain;
    default: {
      // Prometheus anchors its expressions at both ends.
      const pattern = new RegExp(`^(?:${plain})$`);
      const wanted = op === '=~';
      return (labels) => pattern.test(labels[label] ?? '') === wanted;
    }
  }
}
