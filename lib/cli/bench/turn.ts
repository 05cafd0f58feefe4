/** Gathers who has something to write, so that each writes once in a turn of the event loop. */

export interface Writer {
  /** Whether it waits for its `flush`. Only `Turn` sets it. */
  isDue: boolean
  flush(): void
}

export class Turn {
  #due: Writer[] = []
  #spare: Writer[] = []

  /** `writer.flush` is called once all sockets that have something were read. */
  want(writer: Writer): void {
    if (writer.isDue) return
    writer.isDue = true
    if (this.#due.push(writer) === 1) setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const due = this.#due
    this.#due = this.#spare
    for (const writer of due) {
      writer.isDue = false
      writer.flush()
    }
    due.length = 0
    this.#spare = due
  }
}
