import { test, type TestContext } from 'vitest';

test('x', async ({ seatrial, task }) => {
  await seatrial.use('clone');
  void task.name;
});

export const seen = (context: TestContext): string => context.task.name + String(context.seatrial);
