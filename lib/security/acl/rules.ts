/**
 * Rules of an ACL file, whatever its format, and what they say: of all rules that apply to a client, the
 * first whose filter matches decides; what no rule allows is refused.
 *
 * A subscription is judged on all that it could receive: it is allowed if for each topic that its filter
 * matches the first rule allows reading.
 */

import type { Qos } from '../../protocol/packets.ts'
import { isShared, parseSharedFilter } from '../../protocol/topics.ts'
import type { ClientInfo, Decision } from '../access.ts'
import { covers, coverTogether, intersection, type Levels, toLevels } from './topic-sets.ts'

/** write: PUBLISH to a topic. read: be sent what is published there. subscribe: ask for a Topic Filter. */
export type Action = 'read' | 'write' | 'subscribe'

/** What rules can tell clients apart by. */
export type RuleClient = Pick<
  ClientInfo,
  'clientIdentifier' | 'userName' | 'address' | 'listener' | 'certificateCommonName' | 'certificate'
>

export interface Rule {
  /** In its file, from 1. */
  readonly line: number
  /** What has that line, where rules of several texts are together. */
  readonly origin?: string
  readonly isAllow: boolean
  readonly actions: ReadonlySet<Action>
  /** The Topic Filter for a client; undefined: the rule does not apply to it. */
  readonly filterFor: (client: RuleClient) => Levels | undefined
  readonly qosMin: Qos
  readonly qosMax: Qos
  /** Whether it is about retained messages alone, or about others alone; undefined: about all. */
  readonly retain: boolean | undefined
}

/** A rule as it applies to one client. */
interface BoundRule {
  readonly rule: Rule
  readonly filter: Levels
}

/**
 * How often rules are compared with each other for one subscription: some 50 ms. Only a file in which
 * thousands of `deny` and of `allow` overlap needs more, and would let a SUBSCRIBE hold up everybody.
 */
const COMPARISONS_MAX: number = 250_000

const ASK_FILE = 'noctule acl check tells which rule decides'

/** What happens to a subscription of whose messages a client may read only some. */
export type PartlyReadable = 'refuse' | 'filter'

/** The rules that apply to one client. */
export class ClientRules {
  /** Whether QoS or RETAIN of a message can make a difference. */
  readonly hasConditions: boolean
  readonly #fileName: string
  readonly #hint: string
  readonly #rules: Readonly<Record<Action, readonly BoundRule[]>>

  readonly #partlyReadable: PartlyReadable

  /** `fileName` and `hint` are for decisions: where a rule stands, and what to do about a refusal. */
  constructor(
    fileName: string,
    rules: readonly Rule[],
    client: RuleClient,
    partlyReadable: PartlyReadable = 'refuse',
    hint: string = ASK_FILE,
  ) {
    this.#fileName = fileName
    this.#partlyReadable = partlyReadable
    this.#hint = hint
    const bound = rules.flatMap((rule): BoundRule[] => {
      const filter = rule.filterFor(client)
      return filter === undefined ? [] : [{ rule, filter }]
    })
    const about = (action: Action) => bound.filter(({ rule }) => rule.actions.has(action))
    this.#rules = { read: about('read'), write: about('write'), subscribe: about('subscribe') }
    this.hasConditions = this.#rules.write.some(({ rule }) => isConditional(rule))
  }

  mayPublish(topic: string, qos: Qos, retain: boolean): Decision {
    const levels = toLevels(topic)
    const first = this.#rules.write.find(
      ({ rule, filter }) =>
        isAbout(rule, qos) && (rule.retain ?? retain) === retain && covers(filter, levels),
    )
    return first === undefined ? this.#refuse('no rule allows it') : this.#decide(first.rule)
  }

  /** May be sent what is published to `topic`. */
  mayReceive(topic: string, qos: Qos): Decision {
    return this.#mayRead(toLevels(topic), qos)
  }

  /** `topicFilter` as the client wrote it; of a Shared Subscription the filter inside counts. */
  maySubscribe(topicFilter: string, qos: Qos): Decision {
    const shared = isShared(topicFilter) ? parseSharedFilter(topicFilter) : undefined
    const asked = toLevels(shared?.topicFilter ?? topicFilter)
    for (const { rule, filter } of this.#rules.subscribe) {
      if (!isAbout(rule, qos)) continue
      if (rule.isAllow && covers(filter, asked)) break
      if (!rule.isAllow && intersection(filter, asked) !== undefined) {
        return this.#refuse(`line ${rule.line}`, rule.origin)
      }
    }
    const decision = this.#mayRead(asked, qos)
    if (decision.isAllowed || this.#partlyReadable === 'refuse') return decision
    const rule = this.#findReadable(asked, qos)
    return rule === undefined
      ? decision
      : {
          ...this.#allowed(`${partly(rule, false, 'allows')}, the rest is left out`, rule.origin),
          isFiltered: true,
        }
  }

  /** A rule that allows some of what was asked for; undefined: none of it may be read, or too many overlap. */
  #findReadable(asked: Levels, qos: Qos): Rule | undefined {
    const denying: Levels[] = []
    let comparisons = 0
    for (const { rule, filter } of this.#rules.read) {
      const common = isAbout(rule, qos) ? intersection(filter, asked) : undefined
      if (common === undefined) continue
      if (!rule.isAllow) {
        denying.push(filter)
        continue
      }
      comparisons += denying.length
      if (comparisons > COMPARISONS_MAX) return undefined
      if (!coverTogether(denying, common)) return rule
    }
    return undefined
  }

  /** Each rule is looked at once, and compared with those before it only if it denies. */
  #mayRead(asked: Levels, qos: Qos): Decision {
    const allowing: Levels[] = []
    let lastAllowing: Rule | undefined
    let comparisons = 0
    for (const { rule, filter } of this.#rules.read) {
      const common = isAbout(rule, qos) ? intersection(filter, asked) : undefined
      if (common === undefined) continue
      const isWhole = covers(filter, asked)
      if (rule.isAllow) {
        if (isWhole) return this.#decide(rule)
        allowing.push(filter)
        lastAllowing = rule
        continue
      }
      comparisons += allowing.length
      if (comparisons > COMPARISONS_MAX) return this.#refuse('too many rules overlap')
      if (!coverTogether(allowing, common)) {
        // What earlier rules allow would not be for this one to decide.
        return this.#refuse(partly(rule, isWhole, 'denies'), rule.origin)
      }
    }
    if (lastAllowing === undefined) return this.#refuse('no rule allows it')
    if (coverTogether(allowing, asked)) return this.#decide(lastAllowing)
    return this.#refuse(
      `${partly(lastAllowing, false, 'allows')}, and nothing allows the rest`,
      lastAllowing.origin,
    )
  }

  #decide({ isAllow, line, origin }: Rule): Decision {
    const rule = `line ${line}`
    return isAllow ? this.#allowed(rule, origin) : this.#refuse(rule, origin)
  }

  #allowed(rule: string, origin: string = this.#fileName): Decision {
    return { isAllowed: true, rule: `${origin} ${rule}` }
  }

  #refuse(rule: string, origin: string = this.#fileName): Decision {
    return { isAllowed: false, rule: `${origin} ${rule}`, hint: this.#hint }
  }
}

function partly({ line }: Rule, isWhole: boolean, verb: string): string {
  return isWhole ? `line ${line}` : `line ${line} ${verb} a part of what it could receive`
}

function isAbout({ qosMin, qosMax }: Rule, qos: Qos): boolean {
  return qos >= qosMin && qos <= qosMax
}

function isConditional({ qosMin, qosMax, retain }: Rule): boolean {
  return qosMin > 0 || qosMax < 2 || retain !== undefined
}
