import { seatrial } from '@seatrial/vitest';
import { defineConfig } from 'vitest/config';

/** The suite in forks, and what may differ between pools in each other pool: all in one run. */
export default defineConfig({
  plugins: [seatrial()],
  test: {
    maxWorkers: 2,
    setupFiles: ['./note.ts'],
    testTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'forks', pool: 'forks', include: ['{tests,pools}/**/*.test.ts'] } },
      { extends: true, test: { name: 'threads', pool: 'threads', include: ['pools/baseline.test.ts'] } },
      {
        extends: true,
        test: { name: 'vmThreads', pool: 'vmThreads', environment: './browser-like.ts', include: ['pools/baseline.test.ts'] },
      },
      { extends: true, test: { name: 'shared', pool: 'threads', isolate: false, include: ['pools/**/*.test.ts'] } },
      {
        plugins: [seatrial({ isolation: 'rollback' })],
        test: { name: 'rollback', include: ['pools/**/*.test.ts'], testTimeout: 60_000 },
      },
    ],
  },
});
