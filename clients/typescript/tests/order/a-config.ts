// The first file that a compiler sees, as vitest.config.ts is.
import { seatrial } from '@seatrial/vitest';
import { defineConfig } from 'vitest/config';

export default defineConfig({ plugins: [seatrial()] });
