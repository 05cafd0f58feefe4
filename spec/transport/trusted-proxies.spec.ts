/** Who is believed about a client's address. */

import test from 'ava'
import { ListenError } from '../../lib/transport/listen.ts'
import { TrustedProxies } from '../../lib/transport/trusted-proxies.ts'

test('addresses and ranges of both families are trusted', (t) => {
  const trusted = new TrustedProxies(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', 'fe80::1'])

  const yes = ['10.255.0.1', '192.0.2.1', '2001:db8:1::9', 'fe80::1']
  const no = ['11.0.0.1', '192.0.2.2', '2001:db9::1', 'fe80::2', 'unknown', 'unix']

  t.deepEqual(
    yes.filter((address) => !trusted.has(address)),
    [],
  )
  t.deepEqual(
    no.filter((address) => trusted.has(address)),
    [],
  )
})

for (const range of [
  '',
  'proxy',
  '10.0.0',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '::1/129',
]) {
  test(`"${range}" is no proxy`, (t) => {
    const error = t.throws(() => new TrustedProxies([range]), { instanceOf: ListenError })

    t.is(error.code, 'ERR_TRUSTED_PROXIES')
    t.regex(error.message, /neither an IP address nor a range/)
  })
}

const chains = [
  ['192.0.2.7', '192.0.2.7', 'a single address'],
  ['6.6.6.6, 192.0.2.7', '192.0.2.7', 'the right-most address that is not trusted'],
  ['192.0.2.7, 10.0.0.2, 10.0.0.3', '192.0.2.7', 'the address behind several trusted proxies'],
  ['10.0.0.9, 10.0.0.2', '10.0.0.9', 'the left-most address if all are trusted'],
  ['192.0.2.7:4711', '192.0.2.7', 'an address with a port'],
  ['[2001:DB8::7]:4711', '2001:db8::7', 'an IPv6 address with a port'],
  ['2001:db8:0::7', '2001:db8::7', 'an IPv6 address in its canonical form'],
  ['::ffff:192.0.2.7', '192.0.2.7', 'an IPv4 address in an IPv6 one'],
  ['192.0.2.7, _hidden', '10.0.0.1', 'the proxy itself if the next is no address'],
  ['', '10.0.0.1', 'the proxy itself if it says nothing'],
] as const

for (const [header, client, what] of chains) {
  test(`X-Forwarded-For "${header}" gives ${what}`, (t) => {
    const trusted = new TrustedProxies(['10.0.0.0/8'])

    t.is(trusted.clientOf('10.0.0.1', header), client)
    t.is(trusted.clientOf('203.0.113.1', header), '203.0.113.1')
  })
}
