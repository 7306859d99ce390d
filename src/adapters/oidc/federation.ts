/** Pipelines that come with the id token of their own maker (GitHub Actions, GitLab CI) in place of a stored secret. */
import { decodeJwt } from 'jose';
import { decideCi } from '../../app/trust/ci.ts';
import type { Federated, Federation } from '../../app/trust/ports.ts';
import type { CiTrust } from '../../app/trust/trust.ts';
import { type Issuer, LONGEST_TOKEN } from './issuer.ts';

/** `open`: an issuer by its address. */
export function openFederation(trust: CiTrust, open: (issuer: string) => Issuer): Federation {
  const issuers = new Map(
    Object.entries(trust.issuers).map(([name, { issuer }]) => [issuer, { name, issuer: open(issuer) }] as const),
  );
  return {
    async authenticate(token): Promise<Federated> {
      const from = issuers.get(issuerSaid(token) ?? '');
      if (from === undefined) return { kind: 'invalid', reason: 'it is of no issuer that the trust policy names' };
      const verified = await from.issuer.verify(token, trust.audience);
      if (verified.kind !== 'valid') return verified;
      const decision = decideCi(trust, from.name, verified.claims);
      if (decision.ok) return { kind: 'principal', principal: decision.principal };
      return { kind: 'no_rule', reason: decision.reason };
    },
  };
}

/** Unchecked: only chooses whose keys are tried. null: no JWT. */
function issuerSaid(token: string): string | null {
  if (token.length > LONGEST_TOKEN) return null;
  try {
    return decodeJwt(token).iss ?? null;
  } catch {
    return null;
  }
}
