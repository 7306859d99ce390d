/** Values of a benchmark's flags. Wrong ones are refused and the known ones named: a wrong run looks like a right one. */

/** The command line is wrong, in words for whoever typed it. */
export class Wrong extends Error {}

/** Does the error mean that the command line is wrong? */
export const isWrong = (error: unknown): error is Error =>
  error instanceof Wrong || ((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') ?? false);

export function whole(flag: string, text: string, least: number, most: number): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (n >= least && n <= most) return n;
  throw new Wrong(`${flag}: wanted a whole number from ${least} to ${most}, found ${JSON.stringify(text)}`);
}

/** Names separated by commas. */
export function namesOf<T extends string>(what: string, asked: string, known: readonly T[]): readonly T[] {
  const names = asked.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !known.some((one) => one === name));
  if (unknown.length === 0) return names as T[];
  throw new Wrong(
    `unknown ${what} ${unknown.map((name) => JSON.stringify(name)).join(', ')}; known: ${known.join(', ')}`,
  );
}
