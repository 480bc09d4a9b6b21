/** The types of the API are those that Seatrial describes. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import openapiTS, { astToString } from 'openapi-typescript';
import { expect, it } from 'vitest';
import { find } from '../src/core/find.js';
import { Place } from './project.js';

const FILE = join(import.meta.dirname, '..', 'src', 'core', 'api.generated.ts');

it('src/core/api.generated.ts is what the description says (SEATRIAL_WRITE_DOCS=1 writes it)', async () => {
  const { environ } = new Place();
  const [program, ...first] = find(import.meta.dirname, environ);
  const description = execFileSync(program, [...first, 'serve', '--openapi'], { encoding: 'utf-8', env: environ });
  const ast = await openapiTS(description, { defaultNonNullable: false });
  const wanted = `/* Made from \`seatrial serve --openapi\`; do not edit. */\n\n${astToString(ast)}`;
  if (process.env['SEATRIAL_WRITE_DOCS']) writeFileSync(FILE, wanted);
  expect(readFileSync(FILE, 'utf-8')).toBe(wanted);
});
