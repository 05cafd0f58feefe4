/**
 * The sources that say who may connect and do what, in their order: the hooks of the host program, then the
 * files of the configuration. The first that knows decides. Without a source for a question there is no
 * hook for it, so that asking costs nothing.
 */

import type {
  AccessHooks,
  Answer,
  AuthenticateRequest,
  ClientInfo,
  Eventually,
  PublishRequest,
  SubscribeRequest,
} from './access.ts'

/** Knows users. Resolves with undefined for those it does not know. */
export interface UserSource {
  authenticate(request: AuthenticateRequest): Eventually<Answer | undefined>
}

/** Knows what clients may do, at once and always. */
export interface RuleSource {
  authorizePublish(client: ClientInfo, request: PublishRequest): Answer
  authorizeSubscribe(client: ClientInfo, request: SubscribeRequest): Answer
}

export interface FileSources {
  readonly users?: UserSource | undefined
  readonly rules?: RuleSource | undefined
}

export function chainAccess(hooks: AccessHooks, { users, rules }: FileSources): AccessHooks {
  return {
    ...(hooks.authenticationMethods !== undefined && {
      authenticationMethods: hooks.authenticationMethods,
    }),
    ...((hooks.authenticate !== undefined || users !== undefined) && {
      authenticate: (request) =>
        orElse(hooks.authenticate?.(request), () => users?.authenticate(request)),
    }),
    ...((hooks.authorizePublish !== undefined || rules !== undefined) && {
      authorizePublish: (client, request) =>
        orElse(hooks.authorizePublish?.(client, request), () =>
          rules?.authorizePublish(client, request),
        ),
    }),
    ...((hooks.authorizeSubscribe !== undefined || rules !== undefined) && {
      authorizeSubscribe: (client, request) =>
        orElse(hooks.authorizeSubscribe?.(client, request), () =>
          rules?.authorizeSubscribe(client, request),
        ),
    }),
  }
}

type MaybeAnswer = Answer | undefined

function orElse(
  answer: Eventually<MaybeAnswer>,
  other: () => Eventually<MaybeAnswer>,
): Eventually<MaybeAnswer> {
  if (answer instanceof Promise) return answer.then((late) => late ?? other())
  return answer ?? other()
}
