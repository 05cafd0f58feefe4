/**
 * The children of a node in a tree of topic levels, by level: nothing, the only child itself, a few in an
 * array, or a `Map`. Most nodes have one child or none, and a `Map` costs 184 bytes even for one entry
 * (Node 20), an array of two 64.
 */

export interface LevelNode {
  readonly level: string
}

export type LevelMap<N extends LevelNode> = Map<string, N> | readonly N[] | N | undefined

/** Up to here comparing one after the other is as fast as hashing. */
const ARRAY_LENGTH_MAX = 4

export function childAt<N extends LevelNode>(children: LevelMap<N>, level: string): N | undefined {
  if (children === undefined) return undefined
  if (children instanceof Map) return children.get(level)
  if (isArray(children)) {
    for (let i = 0; i < children.length; i++) if (children[i]!.level === level) return children[i]
    return undefined
  }
  return children.level === level ? children : undefined
}

/** Lists the children, in no particular order. */
export function childrenOf<N extends LevelNode>(children: LevelMap<N>): Iterable<N> {
  if (children === undefined) return []
  if (children instanceof Map) return children.values()
  return isArray(children) ? children : [children]
}

/** Adds a child whose level is not there yet; returns what to keep in place of `children`. */
export function withChild<N extends LevelNode>(children: LevelMap<N>, child: N): LevelMap<N> {
  if (children === undefined) return child
  if (children instanceof Map) return children.set(child.level, child)
  if (!isArray(children)) return [children, child]
  // Not `push`, which would reserve room for 16 more.
  if (children.length < ARRAY_LENGTH_MAX) return children.concat(child)
  return new Map([...children, child].map((each) => [each.level, each]))
}

/** Removes a child that is there; returns what to keep in place of `children`. */
export function withoutChild<N extends LevelNode>(children: LevelMap<N>, child: N): LevelMap<N> {
  if (children instanceof Map) {
    children.delete(child.level)
    return children.size > ARRAY_LENGTH_MAX ? children : [...children.values()]
  }
  if (!isArray(children) || children.length === 1) return undefined
  return children.length === 2
    ? children.find((each) => each !== child)
    : children.filter((each) => each !== child)
}

function isArray<N>(children: readonly N[] | N | undefined): children is readonly N[] {
  return Array.isArray(children)
}
