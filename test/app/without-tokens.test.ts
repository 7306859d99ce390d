/** Nothing of a token is left, and nothing else is touched, however often a text passes. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withoutTokens } from '../../src/app/without-tokens.ts';
import { PROBLEMS } from '../../src/http/problem.ts';

const token = `slc_0123456789abcdef_${randomBytes(32).toString('base64url')}`;
const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1LTEifQ.c2lnbmF0dXJl';

describe('a text without tokens', () => {
  it.each([
    [`found ${token}.`, 'found slc_[removed]'],
    [`"${token}"`, '"slc_[removed]"'],
    [`${token} and ${jwt}`, 'slc_[removed] and eyJ[removed]'],
    ['slc_-_a', 'slc_[removed]'],
    ['wanted slc_..., found slc_', 'wanted slc_..., found slc_'],
    ['slc_[removed]', 'slc_[removed]'],
  ])('%#', (text, left) => {
    expect(withoutTokens(text)).toBe(left);
  });

  it.each(Object.values(PROBLEMS).map(({ suggestion }) => suggestion))('leaves the hint as it is: %s', (hint) => {
    expect(withoutTokens(hint)).toBe(hint);
  });

  it('is the same when it passes again, and has no token in it, whatever stands around', () => {
    const piece = fc.constantFrom(
      token,
      jwt,
      'slc_',
      'eyJ',
      '.',
      '...',
      '_',
      '-',
      'a',
      'abcde',
      '[removed]',
      ' ',
      '"',
      'é',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const once = withoutTokens(pieces.join(''));
        expect(withoutTokens(once)).toBe(once);
        expect(once).not.toContain(token);
        expect(once).not.toContain(jwt);
      }),
      { numRuns: 5_000 },
    );
  });
});
