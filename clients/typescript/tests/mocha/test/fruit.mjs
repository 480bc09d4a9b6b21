import assert from 'node:assert';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
after(() => pool.end());
const insert = async () => (await pool.query(`INSERT INTO fruit (name) VALUES ('pear') RETURNING id`)).rows[0].id;

for (const time of [1, 2]) {
  it(`the same row, time ${time}`, async () => {
    assert.equal(await insert(), 1);
  });
}

describe('with hooks', () => {
  beforeEach(insert);
  afterEach(async () => assert.equal(await insert().catch(({ code }) => code), '23505'));

  it('has the row of its beforeEach', async () => {
    assert.equal((await pool.query('SELECT name FROM fruit')).rows.length, 1);
  });

  it('may fail', async () => {
    assert.fail('on purpose');
  });
});

it('nothing of them is left', async () => {
  assert.deepEqual((await pool.query('SELECT name FROM fruit')).rows, []);
});
