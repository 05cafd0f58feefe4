import test from 'ava'
import { WorkQueue } from '../../lib/security/work-queue.ts'
import { ManualClock } from '../support/clock.ts'
import { defer } from '../support/deferred.ts'

/** A queue with one place that is taken until `free` is called, and whose work is noted as it is done. */
function takenQueue(waitingMax: number): {
  done: string[]
  free: () => void
  ask: (address: string, name: string) => Promise<string | undefined>
} {
  const queue = new WorkQueue(1, waitingMax, new ManualClock())
  const taken = defer<void>()
  const done: string[] = []
  void queue.run(() => taken.promise, 'somebody')
  return {
    done,
    free: () => taken.resolve(),
    ask: (address, name) => queue.run(async () => (done.push(name), name), address),
  }
}

test('addresses take turns, each in its own order', async (t) => {
  const { done, free, ask } = takenQueue(10)
  const all = ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'].map((name) => ask(name.charAt(0), name))

  free()
  await Promise.all(all)

  t.deepEqual(done, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
})

test('when no more may wait, the address with most of them gives its last place up', async (t) => {
  const { done, free, ask } = takenQueue(4)
  const flood = ['f1', 'f2', 'f3', 'f4', 'f5'].map((name) => ask('198.51.100.1', name))
  const others = ['192.0.2.1', '192.0.2.2'].map((address) => ask(address, address))

  free()

  t.deepEqual(await Promise.all(flood), ['f1', 'f2', undefined, undefined, undefined])
  t.deepEqual(await Promise.all(others), ['192.0.2.1', '192.0.2.2'])
  t.deepEqual(done, ['f1', '192.0.2.1', '192.0.2.2', 'f2'])
})

test('who has as many as anybody displaces nobody', async (t) => {
  const { free, ask } = takenQueue(2)
  const waiting = [ask('a', 'a1'), ask('b', 'b1')]

  t.is(await ask('a', 'a2'), undefined)
  t.is(await ask('c', 'c1'), undefined)
  free()
  t.deepEqual(await Promise.all(waiting), ['a1', 'b1'])
})

test('the addresses of one IPv6 network of a customer count as one', async (t) => {
  const { free, ask } = takenQueue(2)
  const flood = ['2001:db8::1', '2001:db8::2'].map((address) => ask(address, address))
  const other = ask('2001:db8:0:1::1', 'other')

  free()

  t.deepEqual(await Promise.all(flood), ['2001:db8::1', undefined])
  t.is(await other, 'other')
})
