/** `sluice __complete WORDS`: what may stand where the cursor is, one a line with its meaning; ":files" lets the shell offer files. */
import { optionsOf } from '../arguments.ts';
import type { ArgumentSpec, CommandSpec, Ids, OptionSpec } from '../command.ts';
import { COMMANDS, DEMO, GLOBAL, GROUPS, SERVICE_ROLES } from '../commands.ts';
import type { Environment } from '../environment.ts';
import { Failure } from '../failure.ts';
import { configPath, readConfigFile, serverOf } from '../settings.ts';
import { scopeWords } from '../show/migration.ts';
import type { Terminal } from '../show/terminal.ts';
import type { Collection, FleetSummary, MigrationSummary } from '../wire/api.ts';
import { openApi } from '../wire/api.ts';
import { persistent } from '../wire/persist.ts';
import { openWire } from '../wire/wire.ts';

export type Offer = readonly [value: string, meaning: string];

/** What has to be looked up elsewhere. */
export interface Sources {
  ids(which: Ids, flags: Readonly<Record<string, string>>): Promise<readonly Offer[]>;
  contexts(): Promise<readonly string[]>;
}

/** `words`: those after the command's own name; the last is the one under the cursor. "files": the shell's own. */
export async function offers(words: readonly string[], sources: Sources): Promise<readonly Offer[] | 'files'> {
  const { spec, args, flags, open, current } = scan(words);
  const matching = (all: readonly Offer[]): readonly Offer[] => all.filter(([value]) => value.startsWith(current));
  if (open !== null) {
    const values = await optionValues(open, sources);
    return values === 'files' ? values : matching(values);
  }
  if (current.startsWith('-'))
    return matching((spec === null ? GLOBAL : optionsOf(spec)).map((o): Offer => [`--${o.name}`, o.summary]));
  if (spec === null) return matching(nextWords(args));
  const argument = spec.args[args.length];
  if (argument === undefined) return [];
  const values = await argumentValues(argument, flags, sources);
  return values === 'files' ? values : matching(values);
}

interface Scan {
  readonly spec: CommandSpec | null;
  /** Words that are no options; without those of the command, where it is known. */
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, string>>;
  /** The option whose value is being typed. */
  readonly open: OptionSpec | null;
  readonly current: string;
}

const EVERY = [...COMMANDS.flatMap(optionsOf), ...GLOBAL];
const optionOf = (word: string): OptionSpec | undefined =>
  EVERY.find(({ name, short }) => word === `--${name}` || (short !== undefined && word === `-${short}`));

function scan(words: readonly string[]): Scan {
  // bash cuts "--output=json" into three words.
  const joined = words.at(-1) === '=' ? [...words, ''] : words;
  const list = joined.filter((word) => word !== '=');
  const current = list.at(-1) ?? '';
  const plain: string[] = [];
  const flags: Record<string, string> = {};
  let open: OptionSpec | null = null;
  for (const word of list.slice(0, -1)) {
    if (open !== null) {
      flags[open.name] = word;
      open = null;
    } else if (word.startsWith('-')) {
      const option = optionOf(word);
      if (option?.value !== undefined) open = option;
    } else plain.push(word);
  }
  const spec = COMMANDS.find(({ name }) => `${plain.join(' ')} `.startsWith(`${name} `)) ?? null;
  // An option of one name has other values with another command.
  const own = open === null || spec === null ? open : (optionsOf(spec).find(({ name }) => name === open.name) ?? open);
  return { spec, args: spec === null ? plain : plain.slice(spec.name.split(' ').length), flags, open: own, current };
}

function nextWords(words: readonly string[]): readonly Offer[] {
  const before = words.length === 0 ? '' : `${words.join(' ')} `;
  const fitting = COMMANDS.filter(({ name }) => name.startsWith(before));
  const next = new Map(
    fitting.map(({ name, summary }): Offer => {
      const word = name.slice(before.length).split(' ')[0] ?? '';
      return [word, (before === '' && name.includes(' ') ? GROUPS[word] : undefined) ?? summary];
    }),
  );
  const others: readonly Offer[] =
    words.length === 0 ? [[DEMO.name, DEMO.summary], ...Object.entries(SERVICE_ROLES)] : [];
  return [...next, ...others];
}

async function optionValues(option: OptionSpec, sources: Sources): Promise<readonly Offer[] | 'files'> {
  if (option.oneOf !== undefined) return option.oneOf.map((value) => [value, '']);
  if (option.name === 'context') return (await sources.contexts()).map((name) => [name, '']);
  return option.value === 'FILE' ? 'files' : [];
}

async function argumentValues(
  { complete }: ArgumentSpec,
  flags: Readonly<Record<string, string>>,
  sources: Sources,
): Promise<readonly Offer[] | 'files'> {
  switch (complete) {
    case 'files':
      return 'files';
    case 'none':
      return [];
    case 'contexts':
      return (await sources.contexts()).map((name) => [name, '']);
    case 'commands':
      return [...nextWords([]), ['exit-codes', 'how commands end']];
    case 'live':
    case 'ids':
    case 'live fleets':
    case 'fleets':
    case 'live migrations':
    case 'migrations':
      return sources.ids(complete, flags);
    default:
      return complete.map((value) => [value, '']);
  }
}

export async function complete(words: readonly string[], terminal: Terminal, env: Environment): Promise<'done'> {
  const found = await offers(words, {
    contexts: async () => Object.keys((await readConfigFile(configPath(env))).contexts),
    ids: (which, flags) => idsOf(which, flags, env),
  }).catch(nothing);
  if (found === 'files') terminal.data(':files\n');
  else for (const [value, meaning] of found) terminal.data(`${value}\t${meaning.replaceAll(/[\t\n]/g, ' ')}\n`);
  return 'done';
}

/** Between two keystrokes nobody wants to read what is wrong: doctor says it. */
function nothing(error: unknown): readonly Offer[] {
  if (error instanceof Failure) return [];
  throw error;
}

/** `sluice list -o name`, with a few words on each. One attempt: somebody holds the tab key. */
async function idsOf(which: Ids, flags: Readonly<Record<string, string>>, env: Environment): Promise<readonly Offer[]> {
  const { url, token } = await serverOf(flags, env);
  const wire = openWire(url, token, 'sluice-cli/completion', env);
  try {
    const api = openApi(persistent(wire, { patience: { first: 0, later: 0 }, onTrouble: () => {} }));
    const { collection, live, words } = LISTS[which];
    const query = new URLSearchParams(live === null ? {} : { status: live });
    const { items } = await api.listOf<Listed>(collection, query, 50);
    return items.map((item): Offer => [item.id, `${words(item)} ${item.status}`]);
  } finally {
    wire.close();
  }
}

type Listed = { readonly id: string; readonly status: string } & Pick<FleetSummary, 'target'> &
  Pick<MigrationSummary, 'scope'>;

interface List {
  readonly collection: Collection;
  /** The states to ask for; null: all. */
  readonly live: string | null;
  words(item: Listed): string;
}
const rollouts = { collection: 'rollouts', words: ({ target }: Listed) => target.service } as const;
const fleets = { collection: 'fleet-rollouts', words: ({ target }: Listed) => target.service } as const;
const migrations = { collection: 'mesh-migrations', words: scopeWords } as const;
const LISTS: Readonly<Record<Ids, List>> = {
  live: { ...rollouts, live: 'pending,progressing,paused,rolling_back' },
  ids: { ...rollouts, live: null },
  'live fleets': { ...fleets, live: 'running,baking,paused,rolling_back' },
  fleets: { ...fleets, live: null },
  'live migrations': { ...migrations, live: 'pending,guarding,paused,strict,rolling_back' },
  migrations: { ...migrations, live: null },
};
