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

function fits(matcher: string): Fits {
  const { label, op, value } = MATCHER.exec(matcher)?.groups ?? {};
  if (label === undefined || value === undefined)
    throw new Error(`wanted a matcher like code=~"5..", found ${matcher}: correct the view`);
  const plain = value.replaceAll(/\\(.)/g, '$1');
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
