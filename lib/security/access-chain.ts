/**
 * Those who say who may connect and do what, in the order in which they are asked. The first that knows
 * decides. Without anybody for a question there is no hook for it, so that asking costs nothing.
 */

import type { AccessHooks, Answer, Eventually } from './access.ts'

export function chainAccess(asked: readonly AccessHooks[]): AccessHooks {
  return {
    ...chainOf(asked, 'authenticate'),
    ...chainOf(asked, 'authorizePublish'),
    ...chainOf(asked, 'authorizeSubscribe'),
    ...(canTellReceived(asked) && chainOf(asked, 'authorizeReceive')),
    ...methodsOf(asked),
  }
}

/** Whoever grants subscriptions has to know of each message too, else what it granted would be left out. */
function canTellReceived(asked: readonly AccessHooks[]): boolean {
  return asked.every(
    (one) => one.authorizeSubscribe === undefined || one.authorizeReceive !== undefined,
  )
}

type Question = Exclude<keyof AccessHooks, 'authenticationMethods'>
type Ask = (...question: readonly unknown[]) => Eventually<Answer | undefined>

/** Returns the hook of all that have it, under its name; nothing if none has. */
function chainOf(asked: readonly AccessHooks[], question: Question): AccessHooks {
  const hooks = asked.flatMap((one) => {
    const hook = one[question] as Ask | undefined
    return hook === undefined ? [] : [answering(hook.bind(one))]
  })
  if (hooks.length === 0) return {}
  return { [question]: hooks.reduceRight((next, hook) => orElse(hook, next)) }
}

/** Host programs have promises of many makes: behind this there is one. */
function answering(hook: Ask): Ask {
  return (...question) => {
    const answer = hook(...question)
    const isForeign = !(answer instanceof Promise) && typeof thenOf(answer) === 'function'
    return isForeign ? Promise.resolve(answer) : answer
  }
}

function thenOf(answer: Eventually<Answer | undefined>): unknown {
  return (answer as { readonly then?: unknown } | undefined)?.then
}

function orElse(ask: Ask, other: Ask): Ask {
  return (...question) => {
    const answer = ask(...question)
    if (answer instanceof Promise) return answer.then((late) => late ?? other(...question))
    return answer ?? other(...question)
  }
}

/** Of two methods of one name the first is taken. */
function methodsOf(asked: readonly AccessHooks[]): AccessHooks {
  const methods = asked
    .map(({ authenticationMethods }) => authenticationMethods)
    .filter((some) => some !== undefined)
  if (methods.length === 0) return {}
  return { authenticationMethods: Object.assign({}, ...methods.toReversed()) }
}
