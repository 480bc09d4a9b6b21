import { isolated } from '@seatrial/vitest/jest/environment';
import { TestEnvironment } from 'jest-environment-node';

class Ours extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.theirs = [];
  }

  handleTestEvent(event) {
    this.global.theirs.push(event.name);
  }
}

export default isolated(Ours);
