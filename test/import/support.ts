/** Documents for the import: written here, with the features that public examples use. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { documentsIn, importAll } from '../../src/app/import/families.ts';
import type { Answers, Imported, Note, SourceDocument } from '../../src/app/import/note.ts';
import { offlineParser } from '../../src/cli/offline-parser.ts';
import { readDocument } from '../../src/http/document.ts';

const FOLDER = new URL('../fixtures/import/', import.meta.url).pathname;
export const SAMPLES: readonly string[] = readdirSync(FOLDER).toSorted();
export const sample = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

export function documentsOf(text: string): readonly SourceDocument[] {
  const read = readDocument(Buffer.from(text), 'yaml', () => true);
  if ('problem' in read) throw new Error(read.detail);
  return documentsIn(read.value, (pointer) => read.locate(pointer)?.line ?? null);
}

export function imported(text: string, answers: Answers = {}): Imported {
  const [only, ...more] = importAll(documentsOf(text), answers);
  if (only === undefined || more.length > 0) throw new Error('wanted one Canary or Rollout');
  return only.imported;
}

export const parser = await offlineParser();

/** Notes by pointer, of the first document unless another is named. */
export const noteAt = (notes: readonly Note[], pointer: string, document = 0): readonly Note[] =>
  notes.filter(({ source }) => source.document === document && source.pointer === pointer);
