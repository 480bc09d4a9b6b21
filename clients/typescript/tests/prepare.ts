/** What the made-up project needs before it can be tested: a client of Prisma, and our package where it looks for it. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const CLIENT = join(import.meta.dirname, '..');
export const SHOP = join(import.meta.dirname, 'shop');

export default function prepare(): void {
  const scope = join(CLIENT, 'node_modules', '@seatrial');
  mkdirSync(scope, { recursive: true });
  if (!existsSync(join(scope, 'vitest'))) symlinkSync(CLIENT, join(scope, 'vitest'));
  if (existsSync(join(SHOP, 'src', 'generated'))) return;
  execFileSync(join(CLIENT, 'node_modules', '.bin', 'prisma'), ['generate'], {
    cwd: SHOP,
    // Prisma wants an engine to be there, and does not run it for this.
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1' },
  });
}
