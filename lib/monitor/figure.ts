/**
 * What is measured, each thing once: a figure is a metric for Prometheus, topics of `$SYS`, or both. Nothing is computed
 * before somebody asks.
 */

import { kebabOf } from '../util/kebab.ts'

/** What a figure is called as a metric: https://prometheus.io/docs/practices/naming */
export interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  /** One sentence. */
  readonly help: string
  /** Names of the labels that each of its readings has. */
  readonly labels: readonly string[]
}

export interface Reading {
  /** In the unit of the metric. A text is for `$SYS` alone; undefined: there is none at present. */
  readonly value: () => number | string | undefined
  /** Label → value; values come from the program or its configuration, never from clients. */
  readonly labels?: Readonly<Record<string, string>>
  /** The topics of `$SYS` that say it, below the root of the figure's list. */
  readonly topics?: readonly string[]
  /** What these topics say, where that is not the value. */
  readonly shown?: () => number | string
}

export interface Figure {
  /** Undefined: `$SYS` alone tells it. */
  readonly metric?: Metric
  readonly readings: readonly Reading[]
}

/** A number that only grows, until the process ends. */
export function counter(name: string, help: string, ...readings: readonly Reading[]): Figure {
  return figure('counter', name, help, readings)
}

/** A number that comes and goes. */
export function gauge(name: string, help: string, ...readings: readonly Reading[]): Figure {
  return figure('gauge', name, help, readings)
}

/** What only `$SYS` says: as a metric it would repeat another one, or be what Prometheus computes. */
export function topic(name: string, value: Reading['value']): Figure {
  return { readings: [{ value, topics: [name] }] }
}

/** One reading for each name in a record of counters. */
export function counts(
  label: string,
  counted: Readonly<Record<string, number>>,
  root: string,
): Reading[] {
  return Object.keys(counted).map((name) => ({
    value: () => counted[name],
    labels: { [label]: labelValue(name) },
    topics: [`${root}/${labelValue(name)}`],
  }))
}

/** One reading for each of `states`, 1 for the one that is `current`. */
export function states(label: string, all: readonly string[], current: () => string): Reading[] {
  return all.map((state) => ({
    value: () => Number(current() === state),
    labels: { [label]: labelValue(state) },
  }))
}

/** `connectionRate` and `queue full` as they stand in topics and labels: `connection-rate`, `queue-full`. */
export function labelValue(name: string): string {
  return kebabOf(name).replaceAll(' ', '-')
}

/** Computes once for all figures that are asked in one go: what walks over all sessions is worth it. */
export function together<T extends object>(compute: () => T): () => T {
  let known: T | undefined
  return () => {
    if (known === undefined) {
      known = compute()
      queueMicrotask(() => (known = undefined))
    }
    return known
  }
}

export function sum(values: Iterable<number>): number
export function sum<T>(items: Iterable<T>, valueOf: (item: T) => number): number
export function sum<T>(items: Iterable<T>, valueOf = (item: T) => item as number): number {
  let total = 0
  for (const item of items) total += valueOf(item)
  return total
}

function figure(
  type: Metric['type'],
  name: string,
  help: string,
  readings: readonly Reading[],
): Figure {
  return { metric: { name, type, help, labels: Object.keys(readings[0]?.labels ?? {}) }, readings }
}
