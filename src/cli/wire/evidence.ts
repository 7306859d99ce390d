/** What the API tells of the comparison, in the judge's own terms. */
import type { Block } from '../../domain/evidence/counts.ts';
import type { Recorded } from '../../domain/evidence/replayed.ts';
import type { EvidenceSettings } from '../../domain/evidence/settings.ts';
import type { EvidenceBlockBody, EvidenceSetupBody } from '../../http/schemas.ts';
import { Failure } from '../failure.ts';
import type { Api } from './api.ts';

export type { EvidenceBlockBody, EvidenceSetupBody };

interface Page {
  readonly setup: EvidenceSetupBody | null;
  readonly items: readonly EvidenceBlockBody[];
  readonly nextCursor: string | null;
}

/** As large as they come: all of it is read. */
const PAGE = 200;

/** Every block, the oldest first; setup null: the rollout's plan wants no comparison. */
export async function wholeEvidence(api: Api, id: string): Promise<Omit<Page, 'nextCursor'>> {
  const items: EvidenceBlockBody[] = [];
  let setup: EvidenceSetupBody | null = null;
  let cursor: string | null = null;
  do {
    const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const path: string = `/rollouts/${encodeURIComponent(id)}/evidence?limit=${PAGE}${more}`;
    const page: Page = await api.read(path, `the evidence of ${id}`);
    items.push(...page.items);
    ({ setup, nextCursor: cursor } = page);
  } while (cursor !== null);
  return { setup, items };
}

/** How the comparison is made; null: it is not, or the server is older than the call. */
export async function setupOf(api: Api, id: string): Promise<EvidenceSetupBody | null> {
  try {
    return (await api.read<Page>(`/rollouts/${encodeURIComponent(id)}/evidence?limit=1`, `the evidence of ${id}`))
      .setup;
  } catch (error) {
    if (error instanceof Failure && error.ending === 'not_offered') return null;
    throw error;
  }
}

/** The judge's settings are sent as they are. */
export const settingsOf = ({ settings }: Pick<EvidenceSetupBody, 'settings'>): EvidenceSettings =>
  settings as unknown as EvidenceSettings;

/** Times have their unit in their name on the wire, and a share that is not known is null there and 0 for the judge. */
export const blockOf = ({
  index,
  fromMs,
  toMs,
  share,
  groups,
}: Pick<EvidenceBlockBody, 'index' | 'fromMs' | 'toMs' | 'share' | 'groups'>): Block => ({
  index,
  from: fromMs,
  to: toMs,
  share: share ?? 0,
  groups,
});

/** A block with what was said after it. */
export const recordedOf = (item: EvidenceBlockBody): Recorded => ({ block: blockOf(item), finding: item });
