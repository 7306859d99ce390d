/** An installation as data, and the same as a shell script that can be read, pasted or piped. */
import { istioSteps } from './istio.ts';
import { linkerdSteps } from './linkerd.ts';
import type { InstallStep } from './step.ts';
import type { Wishes } from './wishes.ts';

export interface InstallPlan {
  readonly wishes: Wishes;
  readonly steps: readonly InstallStep[];
  readonly text: string;
}

export function installPlan(wishes: Wishes): InstallPlan {
  const steps = wishes.mesh === 'istio' ? istioSteps(wishes) : linkerdSteps(wishes);
  return { wishes, steps, text: textOf(wishes, steps) };
}

function textOf({ mesh, profile, namespace }: Wishes, steps: readonly InstallStep[]): string {
  const parts = steps.map(({ title, commands, verifies, note }) =>
    [
      `# ${title}`,
      ...(note === null ? [] : [`#   ${note}`]),
      ...commands,
      ...(verifies.length === 0 ? [] : ['# verifies:', ...verifies.map((line) => `#   ${line}`)]),
    ].join('\n'),
  );
  return [`# ${mesh}, profile ${profile}, for namespace ${namespace}`, ...parts, '']
    .join('\n\n')
    .replace(/\n\n$/, '\n');
}
