/** Where Seatrial is looked for, and what is said where it is not. */

import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { find, SeatrialError, serve } from '../src/core/index.js';
import { Place } from './project.js';

let root: string;

function program(...parts: string[]): string {
  const path = join(root, ...parts);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, '#!/bin/sh\necho "it has no such command" >&2\nexit 3\n');
  chmodSync(path, 0o755);
  return path;
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'find-'));
  mkdirSync(join(root, '.git'));
});

describe('find', () => {
  it('takes what is on PATH first', () => {
    program('.venv', 'bin', 'seatrial');
    const found = program('bin', 'seatrial');
    expect(find(root, { PATH: join(root, 'bin') })).toEqual([found]);
  });

  it('then the virtual environment that is active, then one of the project or above it', () => {
    const found = program('.venv', 'bin', 'seatrial');
    mkdirSync(join(root, 'packages', 'web'), { recursive: true });
    expect(find(join(root, 'packages', 'web'), { PATH: '' })).toEqual([found]);
    const active = program('other', 'bin', 'seatrial');
    expect(find(root, { PATH: '', VIRTUAL_ENV: join(root, 'other') })).toEqual([active]);
  });

  it('then uvx', () => {
    const uvx = program('bin', 'uvx');
    const found = find(root, { PATH: join(root, 'bin') });
    expect(found).toEqual([uvx, '--from', 'seatrial[postgres,serve]', 'seatrial']);
  });

  it('says in three parts that there is none', () => {
    let told: unknown;
    try {
      find(root, { PATH: '' });
    } catch (error) {
      told = error;
    }
    expect(told).toBeInstanceOf(SeatrialError);
    const { what, why, fix } = told as SeatrialError;
    expect(what).toContain('not installed');
    expect(why).toContain('PATH');
    expect(fix).toContain('pip install "seatrial[postgres,serve]"');
  });

  it('what can’t be started is told with what it said', async () => {
    const command = [program('bin', 'seatrial')] as const;
    await expect(serve({ root, command })).rejects.toThrow(/did not start \(status 3\)[\s\S]*it has no such command/);
    await expect(serve({ root, command: [join(root, 'nothing')] })).rejects.toThrow('did not start');
  });

  it('a program whose Python is gone is told as such', async () => {
    const path = program('.venv', 'bin', 'seatrial');
    writeFileSync(path, `#!${join(root, 'moved', 'bin', 'python')}\n`);
    const told = await serve({ root, command: [path] }).catch((error: unknown) => error);
    expect(told).toMatchObject({ name: 'SeatrialError', what: `${path} is there and can't be run` });
    expect((told as SeatrialError).why).toContain('a Python that is gone');
  });

  it('a folder that is not there is told as such', async () => {
    await expect(serve({ root: join(root, 'nowhere') })).rejects.toThrow(`there is no folder ${join(root, 'nowhere')}`);
  });

  it('what seatrial itself says is told in its own three parts', async () => {
    const command = find(import.meta.dirname, new Place().environ);
    const told = await serve({ root, command }).catch((error: unknown) => error);
    expect(told).toMatchObject({ name: 'SeatrialError', fix: "run `seatrial init` in the project's root" });
    expect((told as SeatrialError).what).toContain('no configuration was found');
  });
});
