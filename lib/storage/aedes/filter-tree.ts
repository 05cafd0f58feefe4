/**
 * The subscriptions by level of their Topic Filters: whoever publishes through Aedes asks for each
 * message who is subscribed to its topic.
 */

import { childAt, type LevelMap, withChild, withoutChild } from '../../util/level-map.ts'
import type { AedesMatch } from './interface.ts'

interface Node {
  readonly level: string
  children: LevelMap<Node>
  /** By Client Identifier. */
  readonly matches: Map<string, AedesMatch>
}

export class FilterTree {
  readonly #root: Node = nodeOf('')
  #size = 0

  /** How many subscriptions there are. */
  get size(): number {
    return this.#size
  }

  /** Adds a subscription, in place of the same client's to the same filter. */
  set(match: AedesMatch): void {
    let node = this.#root
    for (const level of match.topic.split('/')) {
      let child = childAt(node.children, level)
      if (child === undefined) {
        child = nodeOf(level)
        node.children = withChild(node.children, child)
      }
      node = child
    }
    if (!node.matches.has(match.clientId)) this.#size++
    node.matches.set(match.clientId, match)
  }

  /** Removes a subscription, if it is there, and the levels that nobody needs any more. */
  delete(topicFilter: string, clientId: string): void {
    const path = [this.#root]
    for (const level of topicFilter.split('/')) {
      const child = childAt(path.at(-1)!.children, level)
      if (child === undefined) return
      path.push(child)
    }
    if (path.at(-1)!.matches.delete(clientId)) this.#size--
    for (let i = path.length - 1; i > 0; i--) {
      const node = path[i]!
      if (node.matches.size > 0 || node.children !== undefined) return
      path[i - 1]!.children = withoutChild(path[i - 1]!.children, node)
    }
  }

  /** Finds all whose filter matches; wider filters come first. */
  match(topicName: string): AedesMatch[] {
    const found: AedesMatch[] = []
    collect(this.#root, topicName.split('/'), 0, found)
    return found
  }
}

function nodeOf(level: string): Node {
  return { level, children: undefined, matches: new Map() }
}

function collect(node: Node, levels: readonly string[], depth: number, found: AedesMatch[]): void {
  const isWildcardAllowed = depth > 0 || !levels[0]!.startsWith('$') // Section 4.7.2.
  if (isWildcardAllowed) addTo(found, childAt(node.children, '#'))
  if (depth === levels.length) {
    addTo(found, node)
    return
  }
  const plus = isWildcardAllowed ? childAt(node.children, '+') : undefined
  if (plus !== undefined) collect(plus, levels, depth + 1, found)
  const exact = childAt(node.children, levels[depth]!)
  if (exact !== undefined) collect(exact, levels, depth + 1, found)
}

function addTo(found: AedesMatch[], node: Node | undefined): void {
  if (node !== undefined) for (const match of node.matches.values()) found.push(match)
}
