test.concurrent('beside another one', async () => undefined);
