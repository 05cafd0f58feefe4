import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { defaultConfiguration } from '../../lib/config/load.ts'
import { parseBan } from '../../lib/security/bans/ban-file.ts'
import { BanList } from '../../lib/security/bans/ban-list.ts'
import { Bans, NAME_LENGTH_MAX, WRITE_DELAY_MS } from '../../lib/security/bans/bans.ts'
import { OFFENDERS_MAX, Offences } from '../../lib/security/bans/offences.ts'
import { Timers } from '../../lib/util/timers.ts'
import { ManualClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { recordingLogger } from '../support/recording-logger.ts'

const somebody = { clientIdentifier: 'c', userName: 'alice', address: '192.0.2.1' }

function listOf(...lines: readonly string[]): (who: Partial<typeof somebody>) => boolean {
  const list = new BanList(100)
  for (const line of lines) list.add(parseBan(line))
  return (who) => list.of({ ...somebody, ...who }, 0) !== undefined
}

function bansOf(
  options: object = {},
  loopback = false,
): { bans: Bans; clock: ManualClock; logger: ReturnType<typeof recordingLogger> } {
  const clock = new ManualClock()
  const logger = recordingLogger()
  const parts = { clock, timers: new Timers(clock), log: logger, loopback }
  return { bans: new Bans({ ...defaultConfiguration().bans, ...options }, parts), clock, logger }
}

const fileIn = (t: ExecutionContext): string => join(temporaryDirectory(t), 'bans')

test('a ban is of whoever is all that it names', (t) => {
  const isBanned = listOf(
    'address=10.0.0.0/8',
    'address=198.51.100.7',
    'address=2001:db8::/64',
    'user=mallory',
    'user=alice address=192.0.2.9',
    'client=pump user=bob',
  )

  t.false(isBanned({}))
  for (const address of ['10.1.2.3', '198.51.100.7', '2001:db8::77'])
    t.true(isBanned({ address }), address)
  t.false(isBanned({ address: '2001:db8:0:1::' }))
  t.true(isBanned({ userName: 'mallory' }))
  t.true(isBanned({ address: '192.0.2.9' }))
  t.false(isBanned({ address: '192.0.2.9', userName: 'bob' }))
  t.true(isBanned({ userName: 'bob', clientIdentifier: 'pump' }))
  t.false(isBanned({ clientIdentifier: 'pump' }))
})

test('a ban ends in time, and a list that is full loses the one of the broker that ends first', (t) => {
  const list = new BanList(3)
  const until = (hour: number) => `until=2026-11-26T0${hour}:00:00Z by=broker`
  for (const line of [`user=a ${until(5)}`, 'user=b', `user=c ${until(4)}`, `user=d ${until(6)}`]) {
    list.add(parseBan(line))
  }
  const isBanned = (userName: string, time: string) =>
    list.of({ ...somebody, userName }, Date.parse(time)) !== undefined

  t.deepEqual(
    ['a', 'b', 'c', 'd'].map((name) => isBanned(name, '2026-11-26T00:00:00Z')),
    [true, true, false, true],
  )
  t.false(isBanned('a', '2026-11-26T05:00:00Z'))
  list.expire(Date.parse('2030-01-01T00:00:00Z'))
  t.is(list.size, 1)
})

test('wrong passwords ban the pair of user and address, not the user', async (t) => {
  const { bans, clock, logger } = bansOf({ failedLoginsMax: 3 })
  for (let i = 0; i < 3; i++) bans.noteFailedLogin(somebody)
  t.is(bans.of(somebody), undefined)

  bans.noteFailedLogin(somebody)

  t.is(bans.of(somebody)?.reason, 'more than 3 wrong passwords within 60 s')
  t.is(bans.of({ ...somebody, address: '192.0.2.2' }), undefined)
  t.is(bans.of({ ...somebody, userName: 'bob' }), undefined)
  t.is(logger.lines.length, 1)
  await clock.advance(300_000)
  t.is(bans.of(somebody), undefined)
})

test('the right password forgives the wrong ones before it; so does time', async (t) => {
  const { bans, clock } = bansOf({ failedLoginsMax: 1 })
  bans.noteFailedLogin(somebody)
  bans.noteLogin(somebody)
  bans.noteFailedLogin(somebody)
  await clock.advance(60_000)
  bans.noteFailedLogin(somebody)
  t.is(bans.of(somebody), undefined)
})

test('an address that tries many users is banned as a whole, though it knows a password', (t) => {
  const { bans } = bansOf({ failedLoginsPerAddressMax: 5 })
  for (let i = 0; i < 6; i++) {
    bans.noteFailedLogin({ ...somebody, userName: `user-${i}`, address: `2001:db8::${i}` })
    bans.noteLogin({ ...somebody, address: '2001:db8::1' })
  }

  t.not(bans.ofAddress('2001:db8::99'), undefined)
  t.is(bans.ofAddress('2001:db8:0:1::'), undefined)
})

test('this machine is never banned by the broker itself, unless it is said', (t) => {
  for (const [loopback, banned] of [
    [false, false],
    [true, true],
  ] as const) {
    const { bans } = bansOf({ failedLoginsMax: 1 }, loopback)
    const local = { ...somebody, address: '127.0.0.1' }
    for (let i = 0; i < 5; i++) bans.noteFailedLogin(local)
    t.is(bans.of(local) !== undefined, banned)
    for (let i = 0; i < 5; i++) bans.noteFailedLogin({ ...somebody, address: 'unix' })
    t.is(bans.of({ ...somebody, address: 'unix' }), undefined)
  }
})

test('names without end are not kept', (t) => {
  const { bans } = bansOf({ failedLoginsMax: 1, flappingMax: 1 })
  const long = 'x'.repeat(NAME_LENGTH_MAX + 1)
  for (let i = 0; i < 5; i++) {
    bans.noteFailedLogin({ ...somebody, userName: long })
    bans.noteConnection({ ...somebody, clientIdentifier: long })
  }
  t.is(bans.size, 0)
})

test('so many offenders are remembered, and the first is forgotten', (t) => {
  const offences = new Offences(1, 60_000, new ManualClock())
  offences.note('first')
  for (let i = 1; i < OFFENDERS_MAX; i++) offences.note(String(i))
  t.true(offences.note('first'))

  offences.note('first')
  offences.note('second')
  for (let i = 0; i < OFFENDERS_MAX; i++) offences.note(`new ${i}`)
  t.false(offences.note('second'))
})

test('the file is made, takes up what the broker bans, and is in force after a restart', async (t) => {
  const file = fileIn(t)
  const { bans, clock } = bansOf({ file, failedLoginsMax: 1 })
  await bans.open()
  t.true(existsSync(file))
  for (let i = 0; i < 2; i++) bans.noteFailedLogin(somebody)
  await clock.advance(WRITE_DELAY_MS)

  t.regex(
    readFileSync(file, 'utf8'),
    /^# .*\naddress=192\.0\.2\.1 user=alice until=\S+Z by=broker reason="more than 1 wrong passwords within 60 s"\n$/,
  )
  bans.close()
  const again = bansOf({ file })
  await again.bans.open()
  t.teardown(() => again.bans.close())
  t.not(again.bans.of(somebody), undefined)
})

test('what was not written yet is written as the broker ends', async (t) => {
  const file = fileIn(t)
  const { bans } = bansOf({ file, flappingMax: 1 })
  await bans.open()
  for (let i = 0; i < 2; i++) bans.noteConnection(somebody)

  bans.close()

  t.regex(readFileSync(file, 'utf8'), /client=c until/)
})

test('a changed file is in force, a broken one is complained of and changes nothing', async (t) => {
  const file = fileIn(t)
  writeFileSync(file, 'user=alice\n')
  const { bans, clock, logger } = bansOf({ file })
  await bans.open()
  t.teardown(() => bans.close())
  t.not(bans.of(somebody), undefined)
  const change = async (text: string) => {
    writeFileSync(file, text)
    const reloading = bans.reload()
    while (
      !(await Promise.race([reloading.then(() => true), clock.advance(100).then(() => false)]))
    ) {
      // The file comes to rest.
    }
  }

  await change('user=\n')
  t.not(bans.of(somebody), undefined)
  t.regex(
    String(
      logger.find('a changed file cannot be used: what was in force before stays')[0]?.fields[
        'rule'
      ],
    ),
    /bans:1: /,
  )
  await change('user=bob\n')
  t.is(bans.of(somebody), undefined)
})

test('a file that cannot be made stops the start with a sentence', async (t) => {
  const { bans } = bansOf({ file: '/nowhere/bans' })
  await t.throwsAsync(bans.open(), { message: /bans\.file \/nowhere\/bans/ })
})

test('a file in which there is no room keeps the newest bans', async (t) => {
  const file = fileIn(t)
  const { bans, clock } = bansOf({ file, flappingMax: 1, entriesMax: 5 })
  await bans.open()
  for (let i = 0; i < 20; i++) {
    const who = { ...somebody, clientIdentifier: `c${i}` }
    bans.noteConnection(who)
    bans.noteConnection(who)
    await clock.advance(1000)
  }
  bans.close()

  t.deepEqual(readFileSync(file, 'utf8').match(/client=c\d+/g), [
    'client=c15',
    'client=c16',
    'client=c17',
    'client=c18',
    'client=c19',
  ])
})
