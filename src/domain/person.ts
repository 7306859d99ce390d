/**
 * When two are one person, when they are two, and when nobody can tell.
 *
 * Names are of kinds: an e-mail address, a plain name (`ana-gh`), or what its prefix says (`slack:U012`, `github:ana-gh`,
 * `oidc:<issuer>#<subject>`). Within a kind different names are different people. Between kinds that says nothing: Ana is
 * `ana-gh` to the pipeline and ana@example.com to the provider.
 */

/** What an installation says of names. */
export interface Identities {
  /** Each: every name of one person. No name is in two of them. */
  readonly people: readonly (readonly string[])[];
  /** true: names of different kinds are different people's where nothing joins them. */
  readonly kindsDiffer: boolean;
}

/** Nothing is joined, so only names of one kind tell people apart. */
export const NOTHING_JOINED: Identities = { people: [], kindsDiffer: false };

/** Somebody, by the id of the door that they came in by and by every name that is known of them. */
export interface Named {
  readonly id: string;
  readonly persons: readonly string[];
}

const plain = (name: string): string => name.trim().toLowerCase();

export const overlap = (some: readonly string[], others: readonly string[]): boolean =>
  some.some((one) => others.some((other) => plain(one) === plain(other)));

const SUBJECT = /^oidc:[^#]*(?=#)/;
const PREFIX = /^[a-z][a-z0-9_-]*(?=:)/;

/** "e-mail address", "plain name", "slack:", "oidc:https://idp.example.com". */
export function kindOf(name: string): string {
  const text = plain(name);
  const [subject] = SUBJECT.exec(text) ?? [];
  const [prefix] = PREFIX.exec(text) ?? [];
  if (subject !== undefined) return subject;
  if (prefix !== undefined) return `${prefix}:`;
  return text.includes('@') ? 'e-mail address' : 'plain name';
}

const kindsOf = (names: readonly string[]): readonly string[] => [...new Set(names.map(kindOf))];

/** With the names that the installation says are the same person's. */
const joined = (names: readonly string[], { people }: Identities): readonly string[] => [
  ...names,
  ...people.filter((one) => overlap(one, names)).flat(),
];

/** One person, as far as anybody knows. */
export const isSamePerson = (a: Named, b: Named, known: Identities): boolean =>
  a.id === b.id || overlap(joined(a.persons, known), joined(b.persons, known));

/**
 * Why it cannot be told whether `who`, by these names, is somebody of those other names; null: it can. `other`: how a
 * sentence calls them.
 */
export function untold(
  who: { readonly name: string; readonly persons: readonly string[] },
  other: string,
  persons: readonly string[],
  known: Identities,
): string | null {
  if (known.kindsDiffer) return null;
  const [mine, theirs] = [kindsOf(joined(who.persons, known)), kindsOf(joined(persons, known))];
  if (mine.some((kind) => theirs.includes(kind))) return null;
  return `it cannot be told whether ${who.name} is ${other}: one is known by ${mine.join(' and ') || 'no name'}, the other (${persons.join(', ') || 'nobody known'}) by ${theirs.join(' and ') || 'no name'}, and nothing joins those; an admin joins them by people or login.persons in the trust policy, or by --person of a token or of somebody of Slack`;
}
