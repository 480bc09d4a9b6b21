/** What every program has, as Node has it: a test, or the environment that it runs in, may have replaced it. */

import timers from 'node:timers';

export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = timers;
export const { stringify, parse } = JSON;
