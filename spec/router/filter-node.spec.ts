import test from 'ava'
import { FilterNode } from '../../lib/router/filter-node.ts'
import { receiverOf } from '../../lib/router/receivers.ts'

function receiver(subscriber: string, qos: 0 | 1 = 0) {
  return receiverOf(subscriber, {
    topicFilter: 'a',
    qos,
    noLocal: false,
    retainAsPublished: false,
    subscriptionIdentifier: 0,
  })
}

test('a node has one receiver per subscriber, whichever came first or left', (t) => {
  const node = new FilterNode<string, string>('a', undefined)
  for (const name of ['one', 'two', 'three']) t.false(node.setReceiver(receiver(name)))

  t.true(node.deleteReceiver('one'))
  t.false(node.deleteReceiver('one'))
  t.true(node.setReceiver(receiver('three', 1)))
  t.false(node.setReceiver(receiver('four')))

  const held = node.receivers().single.map(({ subscriber, qos }) => `${subscriber} ${qos}`)
  t.deepEqual(held.toSorted(), ['four 0', 'three 1', 'two 0'])
})

test('what is said of a node is made once, stays as it is, and is made anew when somebody comes or goes', (t) => {
  const node = new FilterNode<string, string>('a', undefined)
  const said = () => {
    const receivers = node.receivers()
    t.is(node.receivers(), receivers)
    const { single, groups, only } = receivers
    return { names: single.map(({ subscriber }) => subscriber), groups, only: only?.subscriber }
  }
  t.deepEqual(said(), { names: [], groups: [], only: undefined })
  node.setReceiver(receiver('one'))
  const first = node.receivers()
  t.deepEqual(said(), { names: ['one'], groups: [], only: 'one' })
  node.addGroup('group')
  t.deepEqual(said(), { names: ['one'], groups: ['group'], only: undefined })
  node.addGroup('other')
  t.deepEqual(said().groups, ['group', 'other'])
  t.true(node.deleteGroup('group'))
  t.false(node.deleteGroup('group'))
  t.deepEqual(said().groups, ['other'])
  t.true(node.deleteGroup('other'))
  t.deepEqual(said().groups, [])
  node.setReceiver(receiver('one', 1))
  t.is(node.receivers().only?.qos, 1)
  t.is(first.only?.qos, 0)

  const child = new FilterNode<string, string>('b', node)
  node.moveSubscribersTo(child)
  t.deepEqual(said().names, [])
  t.is(child.receivers().only?.subscriber, 'one')
  child.deleteReceiver('one')
  t.deepEqual(child.receivers().single, [])
})

test('a node without receivers and groups is not used', (t) => {
  const node = new FilterNode<string, string>('a', undefined)
  node.setReceiver(receiver('one'))
  node.setReceiver(receiver('two'))
  t.true(node.isUsed)

  node.deleteReceiver('one')
  node.deleteReceiver('two')
  t.false(node.isUsed)
})

test('the wildcards are children like any other', (t) => {
  const node = new FilterNode<string, string>('a', undefined)
  const children = ['+', '#', 'b'].map((level) => new FilterNode<string, string>(level, node))
  for (const child of children) node.attach(child)
  t.deepEqual(
    children.map(({ level }) => node.child(level)),
    children,
  )

  for (const child of children) node.detach(child)
  t.false(node.hasChildren)
})
