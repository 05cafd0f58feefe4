/** Local time in the forms of strftime that `sub -F` offers. */

const two = (value: number) => String(value).padStart(2, '0')

/** "+0100", as strftime's %z. */
function offset(date: Date): string {
  const minutes = -date.getTimezoneOffset()
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`
}

const day = (date: Date) =>
  `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
const time = (date: Date) =>
  `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`

/** What may follow `@` in a format. `timeMs` has fractions of a millisecond. */
export const timeFields: Readonly<Record<string, (timeMs: number) => string>> = {
  '@': () => '@',
  Y: (timeMs) => String(new Date(timeMs).getFullYear()),
  m: (timeMs) => two(new Date(timeMs).getMonth() + 1),
  d: (timeMs) => two(new Date(timeMs).getDate()),
  H: (timeMs) => two(new Date(timeMs).getHours()),
  M: (timeMs) => two(new Date(timeMs).getMinutes()),
  S: (timeMs) => two(new Date(timeMs).getSeconds()),
  F: (timeMs) => day(new Date(timeMs)),
  T: (timeMs) => time(new Date(timeMs)),
  z: (timeMs) => offset(new Date(timeMs)),
  s: (timeMs) => String(Math.floor(timeMs / 1000)),
  N: nanoseconds,
}

/** "2016-08-10T09:47:38+0100" */
export function isoTime(timeMs: number): string {
  const date = new Date(timeMs)
  return `${day(date)}T${time(date)}${offset(date)}`
}

/** "2016-08-10T09:47:38.786368+0100" */
export function isoTimeWithMicroseconds(timeMs: number): string {
  const date = new Date(timeMs)
  return `${day(date)}T${time(date)}.${nanoseconds(timeMs).slice(0, 6)}${offset(date)}`
}

/** "1470818943.786368637" */
export function unixTime(timeMs: number): string {
  return `${Math.floor(timeMs / 1000)}.${nanoseconds(timeMs)}`
}

/** Those of the current second; the clock knows microseconds at best. */
function nanoseconds(timeMs: number): string {
  return String(Math.floor((timeMs % 1000) * 1_000_000)).padStart(9, '0')
}
