/** What the program's exit codes mean; documented in each command's --help. */
export const ExitCode = {
  /** Done, or stopped as asked. */
  Success: 0,
  /** The command failed: refused, not acknowledged, connection lost. */
  Failure: 1,
  /** The command line or the configuration has mistakes. */
  Usage: 2,
  /** A listener cannot be opened: port taken, address unknown, certificate unusable. */
  CannotListen: 3,
  /** The store cannot be used, or was lost. */
  CannotStore: 4,
  /** `sub -W`: the time is up. The same as mosquitto_sub's. */
  TimedOut: 27,
} as const
