/** Who publishes to which topics, who subscribes to what, and what has to arrive where. */

import type { Load } from './load.ts'
import { EVERYBODY } from './payload.ts'

export interface Routes {
  /** Receivers of each message. */
  readonly fan: number
  /** The topic of a publisher, with zeros where the numbers go. */
  topicOf(publisher: number): string
  filtersOf(subscriber: number): readonly string[]
  /** How many topics a publisher has. With more than one, each has its number. */
  readonly topicsEach: number
  /** Where in the topic the number stands, as seven digits; -1: nowhere. */
  readonly numberAt: number
  /** Where its remainder by 997 stands, as three digits; -1: nowhere. */
  readonly branchAt: number
  /** Whether numbers come by chance, instead of each in its turn. */
  readonly isByChance: boolean
  /** Who has to get what a publisher sends under a number. */
  receiverOf(publisher: number, number: number): number
  /** Messages of one stream are numbered without gaps; streams are numbered from 0. */
  readonly streams: number
  streamOf(publisher: number, subscriber: number): number
}

/** All topics of a benchmark are below it. */
export const TOPIC_ROOT = 'bench'

export const NUMBER_DIGITS = 7
export const BRANCH_DIGITS = 3
export const BRANCHES = 997

export function routesOf(load: Load): Routes {
  switch (load.topology) {
    case 'pairs':
      return pairs(load)
    case 'fan-in':
      return { ...plain(load), filtersOf: () => [`${TOPIC_ROOT}/+`] }
    case 'fan-out':
      return fanOut(load)
    case 'shared':
      return {
        ...plain(load),
        filtersOf: () => [`$share/group/${TOPIC_ROOT}/+`],
        receiverOf: () => EVERYBODY,
      }
    case 'table':
      return table(load)
  }
}

/** Each publisher has one topic and one receiver, the first subscriber. */
function plain({ publishers }: Load): Routes {
  return {
    fan: 1,
    topicOf: (publisher) => `${TOPIC_ROOT}/${publisher}`,
    filtersOf: () => [],
    topicsEach: 1,
    numberAt: -1,
    branchAt: -1,
    isByChance: false,
    receiverOf: () => 0,
    streams: publishers,
    streamOf: (publisher) => publisher,
  }
}

function pairs(load: Load): Routes {
  const { publishers, subscribers } = load
  const topicsEach = Math.ceil(load.topics / publishers)
  const isNumbered = topicsEach > 1
  const base: Routes = {
    ...plain(load),
    topicOf: (publisher) => `${TOPIC_ROOT}/${publisher % subscribers}`,
    filtersOf: (subscriber) => [`${TOPIC_ROOT}/${subscriber}${isNumbered ? '/+' : ''}`],
    receiverOf: (publisher) => publisher % subscribers,
  }
  if (!isNumbered) return base
  const digits = String(subscribers - 1).length
  const levelOf = (pair: number) => String(pair).padStart(digits, '0')
  return {
    ...base,
    topicsEach,
    topicOf: (publisher) => `${TOPIC_ROOT}/${levelOf(publisher % subscribers)}/0000000`,
    filtersOf: (subscriber) => [`${TOPIC_ROOT}/${levelOf(subscriber)}/+`],
    numberAt: TOPIC_ROOT.length + digits + 2,
  }
}

/** All subscribers get all. */
function fanOut(load: Load): Routes {
  const { publishers, subscribers } = load
  return {
    ...plain(load),
    fan: subscribers,
    topicOf: () => `${TOPIC_ROOT}/all`,
    filtersOf: () => [`${TOPIC_ROOT}/all`],
    receiverOf: () => EVERYBODY,
    streams: publishers * subscribers,
    streamOf: (publisher, subscriber) => publisher * subscribers + subscriber,
  }
}

/** Every filter matches one topic and every topic one filter, which every other time has a `+`. */
function table(load: Load): Routes {
  const { publishers, subscribers, filters } = load
  const filterOf = (number: number): string => {
    const name = String(number).padStart(NUMBER_DIGITS, '0')
    const branch = String(number % BRANCHES).padStart(BRANCH_DIGITS, '0')
    const kind = Math.floor(number / subscribers) % 4
    if (kind === 1) return `${TOPIC_ROOT}/${branch}/${name}/+`
    if (kind === 3) return `${TOPIC_ROOT}/+/${name}/value`
    return `${TOPIC_ROOT}/${branch}/${name}/value`
  }
  return {
    ...plain(load),
    topicOf: () => `${TOPIC_ROOT}/000/0000000/value`,
    filtersOf: (subscriber) => {
      const numbers: number[] = []
      for (let number = subscriber; number < filters; number += subscribers) numbers.push(number)
      return numbers.map(filterOf)
    },
    topicsEach: filters,
    branchAt: TOPIC_ROOT.length + 1,
    numberAt: TOPIC_ROOT.length + 1 + BRANCH_DIGITS + 1,
    isByChance: true,
    receiverOf: (_, number) => number % subscribers,
    streams: publishers * subscribers,
    streamOf: (publisher, subscriber) => publisher * subscribers + subscriber,
  }
}
