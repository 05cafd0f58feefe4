/** A message is known by its topic and its number there. */

export interface Numbered {
  readonly topic: string
  readonly number: number
}

export class NumberedSet {
  readonly #numbers = new Map<string, Set<number>>()

  has({ topic, number }: Numbered): boolean {
    return this.#numbers.get(topic)?.has(number) ?? false
  }

  add({ topic, number }: Numbered): void {
    const numbers = this.#numbers.get(topic)
    if (numbers === undefined) this.#numbers.set(topic, new Set([number]))
    else numbers.add(number)
  }
}
