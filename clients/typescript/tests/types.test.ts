/** The types of the package as it is built, in a project of its own. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const CLIENT = join(import.meta.dirname, '..');

it('`seatrial` is in the context of a test, whichever file the compiler sees first', () => {
  const compiler = join(CLIENT, 'node_modules', '.bin', 'tsc');
  const check = (): string => {
    try {
      return execFileSync(compiler, ['-p', join(import.meta.dirname, 'order')], { encoding: 'utf-8' });
    } catch (error) {
      return String((error as { stdout: string }).stdout);
    }
  };
  expect(check()).toBe('');
});
