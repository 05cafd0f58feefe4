/**
 * Makes the configuration of a broker from its four layers: defaults, file, environment, flags, each
 * winning over the one before. All mistakes of all layers are reported together.
 */

import { Draft } from './draft.ts'
import { readConfigurationFile } from './file.ts'
import { problemsOf } from './issues.ts'
import { type Environment, environmentLayer, type Flags, flagLayer } from './layers.ts'
import { listenerName } from './listener-schema.ts'
import type { BrokerConfiguration, ListenerConfiguration } from './options.ts'
import { ConfigurationError, type ConfigurationProblem } from './problems.ts'
import { configurationSchema } from './schema.ts'

export interface LoadRequest {
  /** Path of a YAML file; none: no such layer. */
  readonly file?: string | undefined
  readonly environment: Environment
  readonly flags?: Flags | undefined
}

export interface LoadedConfiguration {
  /** Frozen at all depths. */
  readonly options: BrokerConfiguration
  /** For every option, `session.queueMessagesMax`, where it was set: `default`, `FILE:LINE`, `env NAME`, `flag --NAME`. */
  readonly origins: ReadonlyMap<string, string>
}

/** Loads all layers; throws a `ConfigurationError` with every mistake. */
export function loadConfiguration(request: LoadRequest): LoadedConfiguration {
  const file = request.file === undefined ? undefined : readConfigurationFile(request.file)
  const draft = new Draft(file?.values, file)
  const problems = [...(file?.problems ?? [])]
  for (const layer of [environmentLayer(request.environment), flagLayer(request.flags ?? {})]) {
    problems.push(...layer.problems)
    for (const assignment of layer.assignments) {
      const problem = draft.assign(assignment)
      if (problem !== undefined) problems.push(problem)
    }
  }
  const options = check(draft, problems)
  return { options, origins: draft.originsOf(options.listeners) }
}

/**
 * Checks the options of a host program, `BrokerOptionsInput` for those who write TypeScript; throws a `ConfigurationError` with every mistake.
 */
export function parseConfiguration(input: unknown): BrokerConfiguration {
  return check(new Draft(input), [])
}

export function defaultConfiguration(): BrokerConfiguration {
  return parseConfiguration({})
}

function check(draft: Draft, problems: readonly ConfigurationProblem[]): BrokerConfiguration {
  const result = configurationSchema.safeParse(draft.values)
  const all = result.success ? problems : [...problems, ...problemsOf(result.error.issues, draft)]
  if (!result.success || all.length > 0) throw new ConfigurationError(all)
  // `options.ts` is generated from this schema.
  return finish(result.data as BrokerConfiguration)
}

function finish(options: BrokerConfiguration): BrokerConfiguration {
  const listeners = options.listeners.map(
    (listener, index): ListenerConfiguration => ({
      ...listener,
      name: listenerName(listener, index),
    }),
  )
  return freeze({ ...options, listeners })
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const inner of Object.values(value)) freeze(inner)
  return Object.freeze(value)
}
