import { describe, expect, it } from 'vitest';
import { edited, editedBy, headerEdits } from '../../src/sandbox/data-plane/header-edits.ts';

const none = { set: {}, add: {}, remove: [] };

describe('edits of headers', () => {
  it.each([
    ['set replaces', { a: '1' }, { set: { a: '2' } }, { a: '2' }],
    ['add keeps what is there', { a: '1' }, { add: { a: '2' } }, { a: ['1', '2'] }],
    ['add makes a new one', {}, { add: { a: '2' } }, { a: '2' }],
    ['remove comes before set', { a: '1' }, { remove: ['a'], set: { a: '2' } }, { a: '2' }],
    ['remove comes before add', { a: '1' }, { remove: ['a'], add: { a: '2' } }, { a: '2' }],
    [
      'cookies stay apart',
      { 'set-cookie': ['x=1'] },
      { add: { 'set-cookie': 'y=2' } },
      { 'set-cookie': ['x=1', 'y=2'] },
    ],
    ['the authority is the Host', { host: 'a' }, { set: { ':authority': 'b' } }, { host: 'b' }],
  ])('%s', (_, headers, edit, wanted) => {
    expect(edited(headers, { ...none, ...edit })).toEqual(wanted);
  });

  it('are made by the destination first and by the rule then, which has the last word', () => {
    const of = (value: string) => headerEdits({ response: { set: { 'X-A': value }, add: { 'X-B': value } } });
    expect(editedBy({}, 'response', of('destination'), of('rule'))).toEqual({
      'x-a': 'rule',
      'x-b': ['destination', 'rule'],
    });
  });

  it('touch only the side that they name, and nothing without any', () => {
    const headers = { a: '1' };
    expect(editedBy(headers, 'request', headerEdits({ response: { set: { a: '2' } } }), null)).toEqual(headers);
    expect(editedBy(headers, 'request', null, null)).toBe(headers);
  });
});
