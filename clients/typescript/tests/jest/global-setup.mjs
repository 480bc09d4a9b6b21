import { serve } from '@seatrial/vitest/core';

export default async function setup() {
  globalThis.seatrial = await serve();
  process.env.SEATRIAL_WHERE = JSON.stringify(globalThis.seatrial.where); // for Jest's workers
}
