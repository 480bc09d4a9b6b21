/** What tests import from us: in CommonJS, which Jest runs without an option, and which ES modules can import. */

type Isolation = 'reset' | 'rollback' | 'clone';
type Handed = { use(isolation: Isolation): Promise<void> };

namespace jest {
  /** The running test goes on under another isolation, from the baseline. */
  export async function use(isolation: Isolation): Promise<void> {
    const handed = (globalThis as { [name: symbol]: Handed | undefined })[Symbol.for('@seatrial/vitest: jest')];
    if (handed === undefined) throw new Error(NOT_OURS);
    await handed.use(isolation);
  }

  const NOT_OURS = `this test file has no database of its own
  why: its test environment is not that of Seatrial
  fix: leave out \`@jest-environment\`, or name "@seatrial/vitest/jest/environment"`;
}

export = jest;
