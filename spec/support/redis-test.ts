/** Tests that need Redis: where it is not installed they say so instead. */

import test, { type ExecutionContext } from 'ava'
import { requireProgram } from './programs.ts'

type Run = (t: ExecutionContext) => Promise<void>

/** Declares a test like `test`. */
export function redisTest(title: string, run: Run): void {
  test(title, withRedis(run))
}

/** Declares a test like `test.serial`. */
export function serialRedisTest(title: string, run: Run): void {
  test.serial(title, withRedis(run))
}

/** Runs the test if there is a Redis to run it with. */
export function withRedis(run: Run): Run {
  return async (t) => {
    const programs = ['redis-server', 'redis-sentinel']
    if (programs.every((name) => requireProgram(t, name, name) !== undefined)) await run(t)
  }
}

/** Starts something when it is first asked for, and removes it when all tests of the file have ended. */
export function shared<T extends { remove(): Promise<void> }>(
  start: () => Promise<T>,
): () => Promise<T> {
  let started: Promise<T> | undefined
  test.after.always(async () => (await started)?.remove())
  return () => {
    started ??= start()
    return started
  }
}
