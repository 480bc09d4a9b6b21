/** A set-up file: with its `require` the environment finds the `pg` of the test file, which is another one than its own. */

const handed = (globalThis as { [name: symbol]: { load?: (file: string) => unknown } | undefined })[
  Symbol.for('@seatrial/vitest: jest')
];
// Without our environment, as in a file that asks for jsdom, there is nobody who needs it.
if (handed !== undefined) handed.load = (file) => require(file);
