/** A whole project under the plugin, in every pool: each of its tests is one of ours. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcome, Place } from './project.js';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

const place = new Place();
let outcome: Outcome;
let report: Report;

beforeAll(async () => {
  const file = join(place.folder, 'report.json');
  outcome = await place.run('vitest', 'run', '--reporter=json', `--outputFile=${file}`);
  report = JSON.parse(readFileSync(file, 'utf-8')) as Report;
});

afterAll(() => place.close());

function results(part: string): Report['testResults'][number]['assertionResults'] {
  return report.testResults.filter(({ name }) => name.includes(part)).flatMap((file) => file.assertionResults);
}

describe('with plugins: [seatrial()]', () => {
  it.each([
    ['prisma', 9],
    ['drivers', 6],
    ['hooks', 3],
    ['rollback', 25],
    ['clone', 8],
    ['processes', 4],
    ['cleanup', 2],
    ['left', 9],
  ])('%s.test.ts passes', (name, least) => {
    const found = results(`/tests/${name}.test.ts`);
    expect(found.filter((test) => test.status !== 'passed').flatMap((test) => test.failureMessages)).toEqual([]);
    expect(found.length).toBeGreaterThanOrEqual(least);
  });

  it('forks, threads, vmThreads, threads without isolation, and rollback for a whole project', () => {
    const found = results('/pools/');
    expect(found.filter((test) => test.status !== 'passed').flatMap((test) => test.failureMessages)).toEqual([]);
    expect(found).toHaveLength(3 * (5 + 3 + 7) + 2 * 5);
  });

  it('test.concurrent runs on a clone for each test, and is refused without one', () => {
    const refused = results('/concurrent.test.ts').filter((test) => test.status !== 'passed');
    expect(refused.map((test) => test.fullName)).toEqual(['test.concurrent on the one database is refused']);
    expect(refused[0]?.failureMessages.join()).toContain('test.concurrent was not started');
    expect(results('/concurrent.test.ts')).toHaveLength(5);
  });

  it('what a test left at work, and wrote after its end, is told by its name', () => {
    const said = outcome.text.split('\n').filter((line) => line.startsWith('seatrial: '));
    const of = (test: string): unknown => expect.stringContaining(`left.test.ts > ${test}: `);
    expect(said).toContainEqual(of('what a test leaves at work > is a transaction'));
    expect(said.join('\n')).toMatch(/left a connection idle in transaction \(pid \d+\); it was ended. It ran: INSERT INTO/);
    expect(said.filter((line) => line.includes('a connection of `pg` to the database of the tests has ended'))).toHaveLength(2);
    expect(said).toContainEqual(of('what is written between two tests > is undone before the second'));
    expect(said).toContainEqual(of('what is written before a beforeAll > is undone before that'));
    expect(said.join('\n')).toMatch(/wrote to Customer\S*, Customer\S* after its end; undone before the next test/);
  });

  it('nothing else went wrong', () => {
    expect(outcome.status).toBe(1); // the one that was refused
    expect(outcome.text).not.toContain('Unhandled');
    expect(outcome.text).not.toContain('close timed out');
  });

  it('leaves no server and no database', async () => {
    expect(place.servers()).toEqual([]);
    expect(await place.databases()).toEqual([]);
  });

  it('a set-up file of the project finds the address exported', () => {
    expect(place.notes().filter((line) => !line.startsWith('postgresql://'))).toEqual([]);
    expect(new Set(place.notes()).size).toBeGreaterThan(1);
  });
});
