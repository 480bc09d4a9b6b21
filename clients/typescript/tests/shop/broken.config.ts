import { seatrial } from '@seatrial/vitest';
import { defineConfig } from 'vitest/config';

/** Tests that fail, die, or never end. */
export default defineConfig({
  plugins: [seatrial()],
  test: { maxWorkers: 1, setupFiles: ['./note.ts'], include: ['broken/**/*.test.ts'], testTimeout: 60_000 },
});
