/**
 * How many messages `pub` has under way: it bounds the memory of a stream without end, and keeps to the
 * broker's Receive Maximum. One producer acquires, acknowledgements release.
 */

/** Enough to hide the way to the broker and back; more only costs memory. */
const IN_FLIGHT_MAX = 256
const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024

export class SendWindow {
  readonly #messagesMax: number
  #messages = 0
  #bytes = 0
  #failure: unknown
  #wake: (() => void) | undefined

  constructor(receiveMaximum: number) {
    this.#messagesMax = Math.min(receiveMaximum, IN_FLIGHT_MAX)
  }

  get messages(): number {
    return this.#messages
  }

  /** Waits for room. A message larger than the window goes alone. Rejects with the first failure. */
  async acquire(bytes: number): Promise<void> {
    await this.#until(
      () =>
        this.#messages === 0 ||
        (this.#messages < this.#messagesMax && this.#bytes + bytes <= IN_FLIGHT_BYTES_MAX),
    )
    this.#messages += 1
    this.#bytes += bytes
  }

  release(bytes: number): void {
    this.#messages -= 1
    this.#bytes -= bytes
    this.#wake?.()
  }

  /** Everybody who waits, now or later, is rejected with the first `failure`. */
  fail(failure: unknown): void {
    this.#failure ??= failure
    this.#wake?.()
  }

  /** Waits until nothing is under way. */
  drained(): Promise<void> {
    return this.#until(() => this.#messages === 0)
  }

  async #until(isTrue: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      if (isTrue()) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }
}
