/** Kiali's validations as findings of the preflight. Pure. */
import type { Finding } from '../../app/usecases.ts';

/** One thing that Kiali says of an object. */
export interface KialiCheck {
  /** KIA1107; empty: Kiali gave none. */
  readonly code: string;
  readonly message: string;
  /** error, warning, or what a later Kiali says. */
  readonly severity: string;
  /** spec/http[0]/route[1]/destination */
  readonly path: string;
}

export interface KialiValidation {
  /** "VirtualService production/myapp". */
  readonly object: string;
  readonly checks: readonly KialiCheck[];
}

/** Kiali calls some of these warnings; traffic that is sent there is lost all the same. */
const LEADS_NOWHERE: ReadonlySet<string> = new Set(['KIA1101', 'KIA1107']);

const levelOf = ({ code, severity }: KialiCheck): Finding['level'] =>
  severity === 'error' || LEADS_NOWHERE.has(code) ? 'fail' : 'warn';

/** One finding per object and code, named `kiali.<code>`; one that passes where Kiali finds nothing. */
export function kialiFindings(validations: readonly KialiValidation[]): readonly Finding[] {
  const findings = validations.flatMap(({ object, checks }) =>
    [...Map.groupBy(checks, ({ code }) => code)].map(([code, same]): Finding => {
      const [first] = same;
      const paths = [...new Set(same.map(({ path }) => path).filter((path) => path !== ''))];
      return {
        check: `kiali.${code === '' ? 'validation' : code}`,
        level: same.some((check) => levelOf(check) === 'fail') ? 'fail' : 'warn',
        message: `Kiali says of ${object}: ${first?.message ?? ''}${paths.length === 0 ? '' : ` (${paths.join(', ')})`}`,
      };
    }),
  );
  if (findings.length > 0) return findings;
  const objects = validations.map(({ object }) => object).join(', ');
  return [{ check: 'kiali.validations', level: 'pass', message: `Kiali finds nothing wrong with ${objects}` }];
}

/** Kiali could not be asked. Every check that matters is made without it too, so this refuses nothing. */
export const kialiUnknown = (message: string): readonly Finding[] => [
  { check: 'kiali.validations', level: 'unknown', message: `${message}; its validations are not known` },
];
