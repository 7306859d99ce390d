/** A plan from a file or standard input: read as the server reads it, changed by --set and --label, every field with its place. */
import { readFile } from 'node:fs/promises';
import { readDocument } from '../http/document.ts';
import type { Fault } from '../http/problem.ts';
import type { Call } from './command.ts';
import { Failure, usage } from './failure.ts';
import { label, setField } from './set.ts';
import type { PlanText } from './wire/api.ts';

export interface PlanFile {
  /** As messages name it. */
  readonly name: string;
  readonly document: unknown;
  readonly sent: PlanText;
  /** "plan.yaml:7:5" of a JSON pointer, or of what is nearest to it in the file; the bare name where it is in nothing. */
  readonly placeOf: (pointer: string) => Place;
}
export interface Place {
  readonly words: string;
  readonly line: number | null;
  readonly column: number | null;
}

/** `labelsAt`: where --label adds, as a path of fields. */
export async function readPlan(call: Call, labelsAt: readonly string[] = ['labels']): Promise<PlanFile> {
  const path = call.args[0] ?? '-';
  const name = path === '-' ? 'stdin' : path;
  const bytes = await bytesOf(path);
  const notation = path.endsWith('.json') ? 'json' : 'yaml';
  const read = readDocument(bytes, notation);
  if ('problem' in read) {
    const faults = read.errors ?? [];
    const lines = faults.map((fault) => `${placeWords(name, fault)}: ${fault.detail}`);
    throw new Failure('refused', `the plan cannot be read\n${lines.join('\n')}`, [], {
      valid: false,
      problems: faults.map(({ pointer = '', code, detail, line = null, column = null }) => ({
        pointer,
        code,
        message: detail,
        line,
        column,
      })),
    });
  }
  const [sets, labels] = [call.texts('set'), call.texts('label')];
  let document = read.value;
  for (const given of sets) document = setField(document, given);
  for (const given of labels) document = label(document, given, labelsAt);
  const changed = sets.length + labels.length > 0;
  return {
    name,
    document,
    sent: changed
      ? { text: JSON.stringify(document), type: 'application/json' }
      : { text: Buffer.from(bytes).toString('utf8'), type: `application/${notation}` },
    placeOf(pointer) {
      const place = read.locate(pointer);
      return {
        words: placeWords(name, place ?? {}),
        line: place?.line ?? null,
        column: place?.column ?? null,
      };
    },
  };
}

const placeWords = (name: string, { line, column }: { readonly line?: number; readonly column?: number }): string =>
  line === undefined ? name : `${name}:${line}:${column ?? 1}`;

/** `what`: as messages name it. */
export async function bytesOf(path: string, what = 'the plan'): Promise<Uint8Array> {
  if (path !== '-')
    return readFile(path).catch((error: NodeJS.ErrnoException) => {
      throw usage(`cannot read ${what} ${path}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`);
    });
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Buffer));
  return Buffer.concat(chunks);
}

export interface PlanProblem {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

/** "plan.yaml:7:5: /steps/1/weight: wanted ...", in the order of the file. */
export const problemLines = (plan: PlanFile, problems: readonly PlanProblem[]): readonly string[] =>
  problems
    .map((problem) => ({ ...problem, ...plan.placeOf(problem.pointer) }))
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
    .map(({ words, pointer, message }) => `${words}: ${pointer === '' ? '' : `${pointer}: `}${message}`);

/** The server's faults say where they are in what was sent; people want to know where that is in their file. */
export const ofServer = (errors: readonly Fault[]): readonly PlanProblem[] =>
  errors
    .filter((fault) => fault.pointer !== undefined)
    .map(({ pointer = '', code, detail }) => ({ pointer, code, message: detail }));
