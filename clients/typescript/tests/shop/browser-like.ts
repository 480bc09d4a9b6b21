/** An environment of a test as jsdom has it: its timers are those of a browser, which are numbers. */

import { builtinEnvironments, type Environment } from 'vitest/environments';

const { setTimeout, setInterval } = globalThis;
const { node } = builtinEnvironments;

export default {
  ...node,
  name: 'browser-like',
  async setupVM(options) {
    const made = await node.setupVM?.(options);
    if (made === undefined) throw new Error('the environment of Node has no contexts any more');
    Object.assign(made.getVmContext(), {
      setTimeout: (...call: Parameters<typeof setTimeout>) => Number(setTimeout(...call)),
      setInterval: (...call: Parameters<typeof setInterval>) => Number(setInterval(...call)),
      setImmediate: undefined,
    });
    return made;
  },
} satisfies Environment;
