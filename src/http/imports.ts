/** Documents of Flagger and of Argo Rollouts in the place of a plan. */
import { z } from 'zod';
import { documentsIn, importAll, isForeign } from '../app/import/families.ts';
import type { Answers, Imported } from '../app/import/note.ts';
import { isBlocked, MESHES, PROXIES } from '../app/import/note.ts';
import type { Several } from './document.ts';
import * as params from './params.ts';
import type { Refused } from './problem.ts';
import { refuse } from './problem.ts';
import type { Context } from './route.ts';
import type { ImportBody } from './schemas.ts';
import { named } from './schemas.ts';

/** For the document: the objects are described by their own CRDs. */
export const foreignSchema = named(
  'ForeignDocuments',
  'A Canary (flagger.app/v1beta1) with its MetricTemplates, or a Rollout (argoproj.io/v1alpha1) with its AnalysisTemplates: one object, a list of them, a List, or YAML documents one after the other.',
  z.union([z.looseObject({ apiVersion: z.string(), kind: z.string() }), z.array(z.looseObject({ kind: z.string() }))]),
);

const NOWHERE = (): null => null;
export const mayBeSeveral: Several = (documents) => isForeign(documentsIn(documents, NOWHERE));

const DNS = '[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?';

/** Of `POST /rollouts`: what the documents do not say. */
export const importParameters = {
  lenient: params.flag('Documents of Flagger or Argo: start also without what is not supported.'),
  cluster: params.answer('Documents of Flagger or Argo: target.cluster; default if absent.', DNS),
  namespace: params.answer('Documents of Flagger or Argo: target.namespace, where they name none.', DNS),
  mesh: params.oneOf('Documents of Flagger or Argo: target.mesh, where they do not show it.', MESHES),
  proxy: params.oneOf('Documents of Flagger or Argo: target.proxy of a route of the Gateway API.', PROXIES),
  stable: params.answer('Documents of Flagger or Argo: Deployment of the stable version.', DNS),
  canary: params.answer('Documents of Flagger or Argo: Deployment of the canary.', DNS),
  host: params.answer('Documents of Flagger or Argo: host of the two subsets of a VirtualService.', DNS),
};
export interface ImportQuery extends Answers {
  readonly lenient: boolean;
}

export type Given =
  | { readonly document: unknown; readonly imported: ImportBody | null }
  | Refused<'not_importable' | 'invalid_parameter'>;

/** The plan that was sent, or the one that is made of what was sent. */
export function givenPlan(
  body: unknown,
  query: ImportQuery,
  locate: Context<unknown, unknown, unknown, unknown>['locate'],
): Given {
  const { lenient, ...answers } = query;
  const documents = documentsIn(body, (at) => locate(at)?.line ?? null);
  if (!isForeign(documents)) {
    const needless = Object.entries({ ...answers, lenient: lenient || undefined }).find(
      ([, given]) => given !== undefined,
    );
    return needless === undefined ? { document: body, imported: null } : onlyForImports(needless[0]);
  }
  const found = importAll(documents, answers);
  const [only, ...more] = found;
  if (only === undefined)
    return refuse('not_importable', 'wanted a Canary or a Rollout; found only what belongs to one', {
      more: { notes: [], questions: [] },
    });
  if (more.length > 0)
    return refuse(
      'not_importable',
      `one call starts one rollout; found ${found.map(({ name }) => name).join(', ')}: send them one by one`,
      { more: { notes: [], questions: [] } },
    );
  const { imported } = only;
  const told: ImportBody = { notes: [...imported.notes], questions: [...imported.questions] };
  if (imported.plan === null || (isBlocked(imported) && !lenient))
    return refuse('not_importable', `${only.name}: ${lost(imported)}`, { more: { ...told } });
  return { document: imported.plan, imported: told };
}

const onlyForImports = (parameter: string): Refused<'invalid_parameter'> => {
  const detail = 'it is for documents of Flagger or Argo; the body is a plan, which says this itself';
  return refuse('invalid_parameter', `${parameter}: ${detail}`, {
    errors: [{ parameter, code: 'not_applicable', detail }],
  });
};

function lost({ notes }: Imported): string {
  const blocking = notes.filter(({ blocks }) => blocks);
  const shown = blocking.slice(0, 3).map(({ source, message }) => `${source.pointer}: ${message}`);
  return `${shown.join('; ')}${blocking.length > 3 ? `; and ${blocking.length - 3} more` : ''}`;
}
