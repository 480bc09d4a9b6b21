/** Options of the plugin are looked at before anything starts: a configuration may be JavaScript. */

import { expect, it } from 'vitest';
import { mergeConfig, type ViteUserConfig } from 'vitest/config';
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

const OURS = expect.any(RegExp);

it.each([
  [{}, [OURS]],
  [{ test: { server: { deps: { inline: ['a'] } } } }, ['a', OURS]],
  [{ test: { server: { deps: { inline: ['a'] } }, deps: { inline: ['b'] } }, ssr: { noExternal: true } }, ['a', OURS]],
  [{ test: { deps: { inline: ['b'] } }, ssr: { noExternal: true } }, ['b', OURS]],
  [{ ssr: { noExternal: ['c'] } }, [OURS]],
  [{ test: { server: { deps: { inline: true } } } }, true],
  [{ test: { deps: { inline: true } } }, undefined], // Vitest 3 takes that, or the next one, where nothing else is set
  [{ ssr: { noExternal: true } }, undefined],
])('what of %j goes through Vite still does', (theirs, wanted) => {
  const { handler } = seatrial().config as unknown as { handler(config: object): object };
  const { test } = mergeConfig(theirs, handler(theirs)) as ViteUserConfig;
  expect(test?.server?.deps?.inline).toEqual(wanted);
});
