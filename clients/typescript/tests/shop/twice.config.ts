import { seatrial } from '@seatrial/vitest';
import { defineConfig } from 'vitest/config';

/** A project that has the plugin by itself, and from what it extends. */
export default defineConfig({
  plugins: [seatrial({ keep: false })],
  test: {
    projects: [
      {
        extends: true,
        plugins: [seatrial({ keep: Boolean(process.env['SHOP_OTHER']) })],
        test: { name: 'same', include: ['failing/written.test.ts'], testTimeout: 60_000 },
      },
    ],
  },
});
