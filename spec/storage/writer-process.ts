/** Starts embedded-writer.ts, and keeps account of what it says it was told. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import type { Store } from '../../lib/storage/storage.ts'
import { claim, NEVER } from './contract-support.ts'

const WRITER = fileURLToPath(new URL('embedded-writer.js', import.meta.url))

/** What writers on one directory have said, one after the other. */
export class Account {
  /** By session and seq, the number of the message that was reported as done. */
  readonly done: Map<string, Map<number, number>> = new Map()
  readonly taken: Map<string, number> = new Map()
  count = 0

  note(line: string): void {
    const [word, ...rest] = line.split(' ')
    if (word === 'done') this.#noteDone(...(rest as [string, string, string]))
    if (word === 'taken') this.taken.set(rest[0]!, Number(rest[1]))
  }

  /** What `store` lacks of what was reported, and what is wrong with its numbers. */
  async compare(store: Store): Promise<string[]> {
    const wrong: string[] = []
    for (const [session, done] of this.done) {
      const claimed = await claim(store, `s${session}`)
      const entries = await store.readQueue(claimed.ref, 0, NEVER, NEVER)
      const numbers = new Map(entries.map(({ seq, body }) => [seq, body.readDoubleBE(0)]))
      const taken = this.taken.get(session) ?? 0
      for (const [seq, number] of done) {
        if (seq > taken && numbers.get(seq) !== number) wrong.push(`${session} ${seq} is lost`)
        if (seq > claimed.lastSeq) wrong.push(`${session} ${seq} will be given out again`)
      }
      if (claimed.queued !== entries.length) wrong.push(`${session} counts ${claimed.queued}`)
      const isDense = entries.every(({ seq }, i) => i === 0 || seq === entries[i - 1]!.seq + 1)
      if (!isDense) wrong.push(`${session} has a hole`)
    }
    return wrong
  }

  #noteDone(number: string, session: string, seq: string): void {
    const done = this.done.get(session) ?? new Map<number, number>()
    this.done.set(session, done.set(Number(seq), Number(number)))
    this.count++
  }
}

export class Writer {
  readonly child: ChildProcess
  readonly #account: Account
  readonly #ended: Promise<unknown>
  readonly #lines: string[] = []
  #onLine: () => void = () => {}

  constructor(t: ExecutionContext, account: Account, args: readonly (string | number)[]) {
    this.#account = account
    this.child = spawn(process.execPath, [WRITER, ...args.map(String)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const lines = createInterface({ input: this.child.stdout! })
    lines.on('line', (line) => {
      account.note(line)
      this.#lines.push(line)
      this.#onLine()
    })
    this.#ended = once(lines, 'close')
    t.teardown(() => this.kill())
  }

  /** Waits until so many messages were reported, by all writers of the account. */
  async written(count: number): Promise<void> {
    await this.#until(() => this.#account.count >= count)
  }

  async said(line: string): Promise<void> {
    await this.#until(() => this.#lines.includes(line))
  }

  /** Kills it as a power cut does, and reads what it had said. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#ended
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onLine = () => {
        if (holds()) resolve()
      }
      void this.#ended.then(() => reject(new Error(`the writer ended: ${this.#lines.at(-1)}`)))
      this.#onLine()
    })
  }
}
