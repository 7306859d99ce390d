/** `-o json`, `-o yaml`, `-o name`. */
import type { Terminal } from './terminal.ts';

export const OUTPUTS = ['json', 'yaml', 'name'] as const;
export type Output = (typeof OUTPUTS)[number];

/** One document on stdout. `names`: what `-o name` prints, one a line. */
export async function printDocument(
  terminal: Terminal,
  output: Output,
  document: unknown,
  names: readonly string[],
): Promise<void> {
  switch (output) {
    case 'json':
      return terminal.data(`${JSON.stringify(document, null, 2)}\n`);
    case 'yaml': {
      // Loaded only here: 20 ms that no other output needs.
      const { stringify } = await import('yaml');
      return terminal.data(stringify(document, { lineWidth: 0 }));
    }
    case 'name':
      return terminal.data(names.map((name) => `${name}\n`).join(''));
    default:
      return output satisfies never;
  }
}
