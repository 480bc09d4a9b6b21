/** An app may change the text of its address as it likes, as long as it leads to the same database. */

import { expect, it } from 'vitest';
import { isElsewhere } from '../src/core/elsewhere.js';

const URL = 'postgresql://seatrial_app:se%2Fcret%40@127.0.0.1:5433/db_1';

it.each([
  [URL, URL],
  [URL, `${URL}?connection_limit=1`],
  [`${URL}?sslmode=disable`, URL],
  [URL, 'postgresql+asyncpg://seatrial_app:other@127.0.0.1:5433/db_1'],
  [URL, 'jdbc:postgresql://127.0.0.1:5433/db_1?user=seatrial_app'],
  [URL, URL.replace('127.0.0.1', 'localhost')],
  ['127.0.0.1', 'localhost'],
  ['http://127.0.0.1:8333', 'http://127.0.0.1:8333/'],
  ['sqlite:////tmp/w/1.db', 'sqlite+aiosqlite:////tmp/w/1.db'],
  ['sqlite:////tmp/w/1.db', 'file:/tmp/w/1.db?connection_limit=1'],
  ['/tmp/w/1.db', 'file:/tmp/w/1.db?mode=rwc'],
  ['db_1', 'db_1'],
])('%s led to the same place: %s', (exported, now) => {
  expect(isElsewhere(exported, now)).toBe(false);
});

it.each([
  [URL, undefined],
  [URL, ''],
  [URL, 'postgresql://me@localhost/mine'],
  [URL, URL.replace('5433', '5432')],
  [URL, URL.replace('127.0.0.1', 'staging.example')],
  [URL, URL.replace('127.0.0.1', 'prod-127.0.0.1')],
  [URL, `${URL}_test`],
  [URL, 'postgresql://me@localhost/mine?was=db_1'],
  ['/tmp/w/1.db', './dev.db'],
  ['db_1', 'mine'],
])('%s led elsewhere: %s', (exported, now) => {
  expect(isElsewhere(exported, now)).toBe(true);
});
