/** Jest's environment of Node: it comes with Jest, and need not be a dependency of the project. */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { SeatrialError } from '../core/errors.js';

/** From each of these the next is found, also where a package manager puts none beside the other. */
const WAY = ['jest', '@jest/core', 'jest-config', 'jest-environment-node'];

/**
 * The class.
 *
 * @throws SeatrialError where there is no Jest.
 */
export function nodes(): unknown {
  let from = join(process.cwd(), 'package.json');
  for (const name of WAY) from = find(from, name) ?? from;
  if (!from.includes('jest-environment-node')) from = find(import.meta.url, 'jest-environment-node') ?? '';
  if (from === '') throw missing();
  return (createRequire(from)(from) as { TestEnvironment: unknown }).TestEnvironment;
}

function find(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name);
  } catch {
    return undefined;
  }
}

function missing(): SeatrialError {
  return new SeatrialError({
    what: 'jest-environment-node was not found',
    cause: `it comes with Jest, and ${process.cwd()} has neither`,
    fix: 'npm install --save-dev jest-environment-node',
  });
}
