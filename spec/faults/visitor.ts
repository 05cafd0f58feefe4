/** Connects and leaves: it has no session, so that the broker needs no store for it. */

import { type Address, FaultClient } from './client.ts'

export class Visitor extends FaultClient {
  #resolve: () => void = () => {}
  readonly #welcomed = new Promise<void>((resolve) => {
    this.#resolve = resolve
  })

  constructor(address: Address) {
    super(address, 'visitor')
  }

  protected override get isClean(): boolean {
    return true
  }

  /** Resolves when the broker has answered: what it sent to others before is here, or comes in the next turn. */
  async visit(): Promise<void> {
    this.start()
    await this.#welcomed
    this.stop()
  }

  protected connected(): void {
    this.#resolve()
  }

  protected received(): void {}
}
