import test from 'ava'
import { isOfThisMachine, parseAddressRange, sourceOf } from '../../lib/util/address.ts'

test('an IPv6 address counts as its /64, all others as themselves', (t) => {
  t.is(sourceOf('192.0.2.1'), '192.0.2.1')
  t.is(sourceOf('2001:db8::1'), sourceOf('2001:db8::ffff:0:0:1'))
  t.is(sourceOf('2001:0DB8:0:0:1:2:3:4'), sourceOf('2001:db8::'))
  t.not(sourceOf('2001:db8:0:1::'), sourceOf('2001:db8::'))
  t.is(sourceOf('unix'), 'unix')
})

test('what is of this machine: loopback, Unix sockets, memory', (t) => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', 'unix', 'memory']) {
    t.true(isOfThisMachine(address), address)
  }
  for (const address of ['192.0.2.1', '12.7.0.1', '::2', '2001:db8::1']) {
    t.false(isOfThisMachine(address), address)
  }
})

test('ranges are understood, and have what is in them', (t) => {
  const has = (range: string, address: string) => parseAddressRange(range)?.has(address)

  t.true(has('10.0.0.0/8', '10.255.0.1'))
  t.false(has('10.0.0.0/8', '11.0.0.1'))
  t.true(has('2001:db8::/32', '2001:db8:ffff::1'))
  t.false(has('0.0.0.0/0', '::1'))
  t.true(has('::ffff:10.0.0.0/104', '10.255.0.1'))
  t.is(parseAddressRange('::ffff:a00:0/104')?.text, '10.0.0.0/8')
  t.is(parseAddressRange('::ffff:192.0.2.1')?.source, '192.0.2.1')
  t.is(parseAddressRange('2001:DB8::/64')?.text, '2001:db8::/64')
  t.is(parseAddressRange('2001:db8::/64')?.source, sourceOf('2001:db8::9'))
  t.is(parseAddressRange('192.0.2.1')?.source, '192.0.2.1')
  t.is(parseAddressRange('2001:db8::9')?.source, undefined)
  for (const wrong of ['', 'x', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '::/129', '1.2.3']) {
    t.is(parseAddressRange(wrong), undefined, wrong)
  }
})
