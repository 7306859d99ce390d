/** What a running service says of a plan, with nothing written. */
import type { Finding } from '../../src/app/usecases.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';

export interface DryRunView {
  readonly accepted: boolean;
  readonly findings: readonly Finding[];
}

export async function dryRun({ url, token }: Service, plan: object): Promise<DryRunView> {
  const response = await fetch(`${url}/rollouts?dryRun=true`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(plan),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as DryRunView;
}
