/** What every program has, taken when we are loaded: a test may have faked it by the time it is needed. */

export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = globalThis;
export const { stringify, parse } = JSON;
