/** All that is measured, once for `$SYS` and for metrics. */

import { type BrokerFigures, brokerFigures } from './broker-figures.ts'
import type { Figure } from './figure.ts'
import { type NodeParts, nodeFigures } from './node-figures.ts'

/** Computes the present value of one topic. */
export type TopicValue = () => number | string

export interface Figures extends Pick<BrokerFigures, 'loads'> {
  readonly all: readonly Figure[]
  /** Topic of `$SYS` → its present value. */
  readonly topics: ReadonlyMap<string, TopicValue>
}

export function createFigures(parts: NodeParts): Figures {
  const { context, version, nodeName } = parts
  const { figures: ofBroker, loads } = brokerFigures({ ...context, version })
  const ofNode = nodeFigures(parts)
  return {
    all: [...ofBroker, ...ofNode],
    topics: new Map([
      ...topicsOf(ofBroker, '$SYS/broker/'),
      ...topicsOf(ofNode, `$SYS/brokers/${nodeName}/`),
    ]),
    loads,
  }
}

function topicsOf(figures: readonly Figure[], root: string): (readonly [string, TopicValue])[] {
  return figures.flatMap(({ readings }) =>
    readings.flatMap(({ topics = [], shown, value }) =>
      topics.map((name) => [`${root}${name}`, shown ?? (() => value() ?? '')] as const),
    ),
  )
}
