/** What a client command tells about itself, on standard error: `-d` tells all, `--quiet` nothing. */

export interface Report {
  debug(line: string): void
  warn(line: string): void
}

export function createReport(flags: {
  readonly debug?: boolean
  readonly quiet?: boolean
}): Report {
  const say = (line: string) => console.error(line)
  const keepSilent = () => {}
  return {
    debug: flags.debug ? say : keepSilent,
    warn: flags.quiet ? keepSilent : say,
  }
}
