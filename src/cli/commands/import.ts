/** `sluice import`: documents of Flagger or Argo -> a plan, and what becomes of every field. Without a server. */
import { documentsIn, importAll } from '../../app/import/families.ts';
import type { Answers, Imported, MeshName, Note, SourceDocument, Verdict } from '../../app/import/note.ts';
import { isBlocked, MESHES, PROXIES } from '../../app/import/note.ts';
import type { Problem } from '../../app/usecases.ts';
import { readDocument } from '../../http/document.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { Failure, usage } from '../failure.ts';
import { offlineParser } from '../offline-parser.ts';
import { bytesOf } from '../plan-file.ts';
import { keysOf, label, setField } from '../set.ts';
import { printDocument } from '../show/data.ts';
import type { Tone } from '../show/line.ts';
import { toned } from '../show/line.ts';

interface FileDocument extends SourceDocument {
  /** Name of the file, as messages have it. */
  readonly file: string;
}

/** What one Canary or Rollout has become. */
interface Outcome {
  readonly name: string;
  readonly plan: unknown;
  readonly imported: Imported;
  /** What the schema of a plan still complains of. */
  readonly problems: readonly Problem[];
}

export async function run(call: Call): Promise<Ending> {
  const paths = call.texts('file');
  if (paths.length === 0) throw usage('import: wanted -f FILE', 'For example: sluice import -f canary.yaml');
  const documents = (await Promise.all(paths.map(documentsOf))).flat();
  const found = importAll(documents, answersOf(call));
  if (found.length === 0)
    throw new Failure('refused', `there is no Canary of Flagger and no Rollout of Argo in ${paths.join(', ')}`);
  const parser = await offlineParser();
  const outcomes = found.map(({ name, imported }): Outcome => {
    const plan = imported.plan === null ? null : changed(imported.plan, call);
    const parsed = plan === null ? null : parser.parse(plan);
    return { name, plan, imported, problems: parsed === null || parsed.ok ? [] : parsed.problems };
  });
  await print(call, outcomes, documents);
  const lenient = call.flag('lenient');
  const isRefused = ({ plan, imported, problems }: Outcome): boolean =>
    plan === null || problems.length > 0 || (!lenient && isBlocked(imported));
  return outcomes.some(isRefused) ? 'refused' : 'done';
}

async function documentsOf(path: string): Promise<readonly FileDocument[]> {
  const file = path === '-' ? 'stdin' : path;
  const read = readDocument(await bytesOf(path, 'the documents'), path.endsWith('.json') ? 'json' : 'yaml', () => true);
  if ('problem' in read) throw new Failure('refused', `${file} cannot be read: ${read.detail}`);
  const lineOf = (pointer: string): number | null => read.locate(pointer)?.line ?? null;
  return documentsIn(read.value, lineOf).map((document) => ({ ...document, file }));
}

function answersOf(call: Call): Answers {
  return {
    mesh: meshOf(call.text('mesh')),
    proxy: PROXIES.find((known) => known === call.text('proxy')),
    cluster: call.text('cluster'),
    namespace: call.text('namespace'),
    stable: call.text('stable'),
    canary: call.text('canary'),
    host: call.text('host'),
  };
}

function meshOf(named: string | undefined): MeshName | undefined {
  const known = MESHES.find((mesh) => mesh === named);
  if (named !== undefined && known === undefined)
    throw usage(`--mesh: wanted ${MESHES.join(', ')}; found ${JSON.stringify(named)}`);
  return known;
}

function changed(plan: unknown, call: Call): unknown {
  const set = call.texts('set').reduce((at, given) => setField(at, given), plan);
  return call.texts('label').reduce((at, given) => label(at, given, ['labels']), set);
}

async function print(call: Call, outcomes: readonly Outcome[], documents: readonly FileDocument[]): Promise<void> {
  const { output, terminal } = call;
  if (output !== null) {
    const all = outcomes.map(({ name, plan, imported, problems }) => ({
      name,
      plan,
      notes: imported.notes.map((note) => ({
        ...note,
        source: { file: documents[note.source.document]?.file ?? '', ...note.source },
      })),
      questions: openQuestions(call, imported),
      problems,
    }));
    return printDocument(terminal, output, all.length === 1 ? all[0] : all, []);
  }
  for (const outcome of outcomes) notesOf(call, outcome, documents);
  const { stringify } = await import('yaml');
  const plans = outcomes.flatMap(({ plan }) => (plan === null ? [] : [stringify(plan, { lineWidth: 0 })]));
  terminal.data(plans.join('---\n'));
}

const TONES: Readonly<Record<Verdict, Tone>> = { maps: 'good', differs: 'warn', unsupported: 'bad', ignored: 'quiet' };
const WIDEST = 'unsupported!'.length;

/** Those that --set and --label have not answered: the documents' own answers do not know of them. */
function openQuestions(call: Call, { questions }: Imported): Imported['questions'] {
  const answered = new Set([
    ...call.texts('set').map((given) => `/${keysOf(given).join('/')}`),
    ...call.texts('label').map((given) => `/labels/${given.slice(0, given.indexOf('='))}`),
  ]);
  return questions.filter(({ pointer }) => !answered.has(pointer));
}

function notesOf(call: Call, { name, plan, imported, problems }: Outcome, documents: readonly FileDocument[]): void {
  const { terminal } = call;
  terminal.note(name, 'strong');
  for (const note of imported.notes) {
    const verdict = `${note.verdict}${note.blocks ? '!' : ''}`.padEnd(WIDEST);
    terminal.note([
      toned('quiet', placeOf(note, documents)),
      ' ',
      toned(TONES[note.verdict], verdict),
      ` ${wordsOf(note)}`,
    ]);
  }
  for (const { pointer, assumed, message } of openQuestions(call, imported))
    terminal.note([
      toned('accent', 'to be said'),
      ` ${pointer}${assumed === null ? '' : ` (now ${assumed})`}: ${message}`,
    ]);
  for (const { pointer, message } of problems) terminal.note([toned('bad', 'not valid'), ` ${pointer}: ${message}`]);
  terminal.note(summary(imported, plan !== null), plan === null || isBlocked(imported) ? 'bad' : 'good');
}

const placeOf = ({ source }: Note, documents: readonly FileDocument[]): string => {
  const file = documents[source.document]?.file ?? '';
  return source.line === null ? file : `${file}:${source.line}`;
};

const wordsOf = ({ source, message }: Note): string =>
  source.pointer === '' ? message : `${source.pointer}: ${message}`;

function summary({ notes }: Imported, hasPlan: boolean): string {
  const count = (verdict: Verdict): string => `${notes.filter((note) => note.verdict === verdict).length}`;
  const blocking = notes.filter(({ blocks }) => blocks).length;
  const counts = `${count('maps')} map, ${count('differs')} differ, ${count('unsupported')} are not supported, ${count('ignored')} have no part in it`;
  if (!hasPlan) return `${counts}: there is no plan`;
  return blocking === 0
    ? counts
    : `${counts}; without ${blocking} of them (marked !) the rollout would be less safe: change them, or say --lenient`;
}
