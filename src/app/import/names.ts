/** Names as a plan takes them. */

/** "404s percentage" -> "404s-percentage"; unique among those in use. */
export function checkName(wanted: string, taken: ReadonlySet<string>): string {
  const bare = wanted
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 60)
    .replaceAll(/^-+|-+$/g, '');
  const name = bare === '' ? 'check' : bare;
  for (let n = 1; ; n += 1) {
    const own = n === 1 ? name : `${name}-${n}`;
    if (!taken.has(own)) return own;
  }
}
