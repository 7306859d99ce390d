import { describe, expect, it } from 'vitest';
import { withoutTokens } from '../../src/app/without-tokens.ts';
import { sessionTokens } from '../../src/http/session-token.ts';

const PERSON = { issuer: 'https://idp.example.com', clientId: 'sluice', subject: 'u-1', name: 'ana', group: 'sre' };
const ANA = { id: 'user:u-1', name: 'user ana', role: 'approver' } as const;
const KEY = 'a key for tests, long enough for all of them';
const at = (now: number, key: string | null = KEY) => sessionTokens(key, { principalOf: () => ANA }, () => now);

describe('the session of a command line', () => {
  it('is good until its end, in every process with the key', () => {
    const token = at(0).issue(PERSON, 1_000);
    expect(at(999).principalOf(token)).toEqual(ANA);
    expect(at(1_000).principalOf(token)).toBeNull();
    expect(at(0, 'another key, that is long enough as well').principalOf(token)).toBeNull();
    expect(at(0, null).principalOf(token)).toBeNull();
  });

  it('cannot be changed, nor made up', () => {
    const token = at(0).issue(PERSON, 1_000);
    for (const wrong of ['', 'slc_session_', 'slc_session_e30', token.slice(0, -2), `${token}AA`, token.slice(4)])
      expect(at(0).principalOf(wrong)).toBeNull();
  });

  it('is hidden wherever API tokens are', () => {
    expect(withoutTokens(`with ${at(0).issue(PERSON, 1_000)}.`)).toBe('with slc_[removed]');
  });
});
