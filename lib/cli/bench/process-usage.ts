/** What processes of this machine have used: CPU time of all their threads, and memory. */

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

export interface Usage {
  /** Since the processes began. */
  readonly cpuUs: number
  readonly residentBytes: number
}

/** `sysconf(_SC_CLK_TCK)` of Linux, wherever Node runs. */
const TICKS_PER_SECOND = 100

/** Undefined when one of them cannot be read: it is not there, not ours to read, or the system has no way. */
export function readUsage(pids: readonly number[]): Usage | undefined {
  try {
    const read = process.platform === 'linux' ? readProc : readPs
    const usages = pids.map(read)
    return {
      cpuUs: usages.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
      residentBytes: usages.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
    }
  } catch {
    return undefined
  }
}

/** CPU time that anybody has used on a core, to 10 ms; undefined where that cannot be read. */
export function coreUsageUs(core: number): number | undefined {
  try {
    const line = new RegExp(`^cpu${core} (.*)`, 'm').exec(readFileSync('/proc/stat', 'latin1'))
    const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = (line?.[1] ?? '')
      .split(' ')
      .map(Number)
    return (user + nice + system + irq + softIrq + steal) * (1_000_000 / TICKS_PER_SECOND)
  } catch {
    return undefined
  }
}

/** How many files a process may have open; undefined where that cannot be read. */
export function openFilesMax(pid: number | 'self'): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))
    return limit === null ? undefined : Number(limit[1])
  } catch {
    return undefined
  }
}

function readProc(pid: number): Usage {
  return { cpuUs: cpuUsOf(pid), residentBytes: residentBytesOf(pid) }
}

/** The scheduler knows nanoseconds, but of living threads only; ticks of 10 ms count those that ended too. */
function cpuUsOf(pid: number): number {
  return Math.max(scheduledUsOf(pid), ticksOf(pid) * (1_000_000 / TICKS_PER_SECOND))
}

/** 0 where the kernel does not tell. */
function scheduledUsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    try {
      const line = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1')
      return sum + Number(line.split(' ')[0]) / 1000
    } catch {
      return sum
    }
  }, 0)
}

/** User and system time; they stand behind the program's name, which may hold anything. */
function ticksOf(pid: number): number {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

function residentBytesOf(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return Number(kibibytes ?? 0) * 1024
}

/** Other Unix systems: as exact as their `ps` is, 10 ms on most. */
function readPs(pid: number): Usage {
  const output = execFileSync('ps', ['-o', 'time=,rss=', '-p', String(pid)], { encoding: 'utf8' })
  const [time = '', kibibytes = ''] = output.trim().split(/\s+/)
  return { cpuUs: secondsOfTime(time) * 1_000_000, residentBytes: Number(kibibytes) * 1024 }
}

/** What `ps` means by `[[days-]hours:]minutes:seconds[.hundredths]`. */
export function secondsOfTime(time: string): number {
  const [clock = '', days = '0'] = time.split('-').toReversed()
  const parts = clock.split(':').map(Number)
  return Number(days) * 86_400 + parts.reduce((sum, part) => sum * 60 + part, 0)
}
