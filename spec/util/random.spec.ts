import test from 'ava'
import { seededRandom, systemRandom } from '../../lib/util/random.ts'

function draw(seed: number): number[] {
  const random = seededRandom(seed)
  return Array.from({ length: 20 }, () => random.below(1_000))
}

test('a seed gives the same numbers again, and another seed gives others', (t) => {
  t.deepEqual(draw(7), draw(7))
  t.notDeepEqual(draw(7), draw(8))
})

for (const [name, random] of Object.entries({ seeded: seededRandom(1), system: systemRandom })) {
  test(`the ${name} random gives each whole number below the limit about as often`, (t) => {
    const counts = [0, 0, 0, 0, 0]
    for (let i = 0; i < 50_000; i++) counts[random.below(5)]!++

    // Ten thousand each; 89 is one standard deviation.
    t.deepEqual(
      counts.filter((count) => Math.abs(count - 10_000) > 600),
      [],
    )
    t.is(random.below(1), 0)
  })
}
