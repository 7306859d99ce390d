/** What a rollout's checks measured, as the API of a running service shows it. */
import type { Service } from '../../src/sandbox/demo/service.ts';

export interface MeasurementView {
  readonly check: string;
  readonly step: number;
  readonly verdict: string;
  readonly reason: string;
  readonly code: string;
  readonly value: number | null;
  /** Requests behind the value. */
  readonly samples: number | null;
  readonly query: string;
}

export async function measurements({ url, token }: Service, id: string): Promise<readonly MeasurementView[]> {
  const response = await fetch(`${url}/rollouts/${id}/measurements?limit=200`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return ((await response.json()) as { items: MeasurementView[] }).items;
}
