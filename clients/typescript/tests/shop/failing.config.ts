import { seatrial } from '@seatrial/vitest';
import { defineConfig } from 'vitest/config';

/** Projects whose hooks, sequence or plugins are at fault. */
export default defineConfig({
  plugins: [seatrial()],
  test: { maxWorkers: 1, setupFiles: ['./note.ts'], include: ['failing/**/*.test.ts'], testTimeout: 60_000 },
});
