/** Options of the plugin are looked at before anything starts: a configuration may be JavaScript. */

import { expect, it } from 'vitest';
import { seatrial } from '../src/index.js';

it.each([
  [{ isolaton: 'clone' }, /no option "isolaton"[^]*root, isolation, keep, command/],
  [{ toString: 1 }, /no option "toString"/],
  [{ isolation: 'cloned' }, /isolation is "cloned"[^]*reset, rollback, clone/],
  [{ isolation: ['clone'] }, /isolation is \[ 'clone' \]/],
  [{ command: 'seatrial' }, /command is "seatrial"[^]*a list of words/],
  [{ command: [] }, /command is \[\]/],
  [{ command: ['uv', 1] }, /command is \[ 'uv', 1 \]/],
  [{ root: 1 }, /root is 1 [^]*a path/],
  [{ keep: 'no' }, /keep is "no"[^]*true or false/],
  [null, /takes an object, not null/],
  ['clone', /takes an object, not "clone"/],
])('%j is refused, with what to write', (options, told) => {
  expect(() => seatrial(options as never)).toThrow(told);
});

it.each([undefined, {}, { root: undefined }, { root: '..', isolation: 'clone', keep: true, command: ['uv', 'run', 'seatrial'] }])(
  '%j is fine',
  (options) => {
    expect(seatrial(options as never).name).toBe('seatrial');
  },
);
