/** Which documents are whose, and what is made of each Canary and each Rollout among them. */
import { fromArgo } from './argo/rollout.ts';
import { fromFlagger } from './flagger/canary.ts';
import type { Answers, Imported, SourceDocument } from './note.ts';
import { child, isRecord } from './pointer.ts';

const FLAGGER = 'flagger.app/';
/** Of that group others have kinds too (workflows, applications). */
const ARGO = 'argoproj.io/';
const ARGO_KINDS: ReadonlySet<string> = new Set([
  'Rollout',
  'AnalysisTemplate',
  'ClusterAnalysisTemplate',
  'AnalysisRun',
  'Experiment',
]);

const text = (value: unknown, key: string): string => {
  const found = isRecord(value) ? value[key] : undefined;
  return typeof found === 'string' ? found : '';
};
const apiOf = ({ value }: SourceDocument): string => text(value, 'apiVersion');
const kindOf = ({ value }: SourceDocument): string => text(value, 'kind');

/** Is one of them an object of Flagger or of Argo Rollouts? */
export const isForeign = (documents: readonly SourceDocument[]): boolean =>
  documents.some(
    (one) => apiOf(one).startsWith(FLAGGER) || (apiOf(one).startsWith(ARGO) && ARGO_KINDS.has(kindOf(one))),
  );

/** The documents in a body: one, a list of them, or a `List` of Kubernetes. */
export function documentsIn(value: unknown, lineOf: SourceDocument['lineOf'], pointer = ''): readonly SourceDocument[] {
  if (Array.isArray(value)) return value.flatMap((item, at) => documentsIn(item, lineOf, child(pointer, at)));
  if (text(value, 'kind') === 'List' && isRecord(value))
    return documentsIn(value['items'], lineOf, child(pointer, 'items'));
  return isRecord(value) ? [{ value, lineOf: (inside) => lineOf(`${pointer}${inside}`) }] : [];
}

export interface Found {
  /** "Canary test/podinfo" */
  readonly name: string;
  readonly imported: Imported;
}

/** One for each Canary and each Rollout. Notes name documents by their index in the list that was given. */
export function importAll(documents: readonly SourceDocument[], answers: Answers = {}): readonly Found[] {
  return documents.flatMap((one, at): Found[] => {
    const name = nameOf(one);
    if (apiOf(one).startsWith(FLAGGER) && kindOf(one) === 'Canary')
      return [
        {
          name,
          imported: withOwn(
            documents,
            at,
            answers,
            (api, kind) => api.startsWith(FLAGGER) && kind !== 'Canary',
            fromFlagger,
          ),
        },
      ];
    if (apiOf(one).startsWith(ARGO) && kindOf(one) === 'Rollout')
      return [{ name, imported: withOwn(documents, at, answers, (_, kind) => kind !== 'Rollout', fromArgo) }];
    return [];
  });
}

const nameOf = (document: SourceDocument): string => {
  const metadata = isRecord(document.value) ? document.value['metadata'] : undefined;
  const namespace = text(metadata, 'namespace');
  return `${kindOf(document)} ${namespace === '' ? '' : `${namespace}/`}${text(metadata, 'name')}`;
};

function withOwn(
  documents: readonly SourceDocument[],
  main: number,
  answers: Answers,
  belongs: (api: string, kind: string) => boolean,
  from: (documents: readonly SourceDocument[], answers: Answers) => Imported,
): Imported {
  const own = documents.flatMap((one, at) => (at === main || belongs(apiOf(one), kindOf(one)) ? [{ one, at }] : []));
  const imported = from(
    own.map(({ one }) => one),
    answers,
  );
  return {
    ...imported,
    notes: imported.notes.map((note) => ({
      ...note,
      source: { ...note.source, document: own[note.source.document]?.at ?? main },
    })),
  };
}
