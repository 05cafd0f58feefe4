/**
 * One question that a service is asked by POST. So many at once, so many waiting, the same one once at a
 * time, none while the service fails: whoever gets no answer is told why, and that is a no.
 */

import { ReasonCode } from '../../protocol/reason-codes.ts'
import type { Clock } from '../../util/clock.ts'
import type { LimitedLog } from '../../util/limited-log.ts'
import type { Logger } from '../../util/logger.ts'
import { type Decision, denial } from '../access.ts'
import { WorkQueue } from '../work-queue.ts'
import { Circuit } from './circuit.ts'
import { HttpClient, type HttpClientOptions } from './http-client.ts'
import { QuestionRefused, type Verdict, verdictOf } from './verdict.ts'

export interface EndpointOptions extends HttpClientOptions {
  readonly waitingMax: number
  readonly failuresMax: number
  readonly retryAfterSeconds: number
}

/** What came of a question: an answer, or a refusal because there was none. */
export type Outcome = Verdict | { readonly kind: 'failure'; readonly decision: Decision }

const HINT = 'nobody is let in, nothing allowed, until the service answers'

export class Endpoint {
  /** Where it is, for the log. */
  readonly name: string
  readonly #client: HttpClient
  readonly #queue: WorkQueue
  readonly #circuit: Circuit
  readonly #limitedLog: LimitedLog
  /** Question → what will come of it. */
  readonly #underWay = new Map<string, Promise<Outcome>>()
  readonly #busy: Outcome
  readonly #resting: Outcome

  constructor(options: EndpointOptions, clock: Clock, log: Logger, limitedLog: LimitedLog) {
    const { connectionsMax, waitingMax, failuresMax, retryAfterSeconds } = options
    this.#client = new HttpClient(options, clock)
    this.name = this.#client.name
    this.#queue = new WorkQueue(connectionsMax, waitingMax, clock)
    this.#limitedLog = limitedLog
    this.#busy = failure(
      ReasonCode.ServerBusy,
      `${this.name}: too many questions wait (security.http.waitingMax)`,
      'the service is slow, or many clients come at once: raise security.http.connectionsMax',
    )
    this.#resting = failure(
      ReasonCode.ServerUnavailable,
      `${this.name}: it has failed, and is not asked for a while (security.http.retryAfterSeconds)`,
      HINT,
    )
    const changed = (isOpen: boolean) => {
      const fields = { url: this.name, retryAfterSeconds }
      if (isOpen) log.error(fields, 'the service has failed too often: it is not asked for a while')
      else log.info({ url: this.name }, 'the service answers again')
    }
    const retryAfterMs = retryAfterSeconds * 1000
    this.#circuit = new Circuit({ failuresMax, retryAfterMs, changed }, clock)
    if (this.#client.isExposed) {
      const message = 'passwords go to the service without TLS, and answers come so: use https'
      log.warn({ url: this.name }, message)
    }
  }

  trust(ca: string): void {
    this.#client.trust(ca)
  }

  /** Asks for a client at `address`; never rejects. */
  ask(question: object, address: string): Promise<Outcome> {
    const json = JSON.stringify(question)
    const same = this.#underWay.get(json)
    if (same !== undefined) return same
    const asked = this.#askInTurn(json, address).finally(() => this.#underWay.delete(json))
    this.#underWay.set(json, asked)
    return asked
  }

  close(): void {
    this.#client.close()
  }

  async #askInTurn(json: string, address: string): Promise<Outcome> {
    if (this.#circuit.isOpen) return this.#resting
    return (await this.#queue.run(() => this.#send(json), address)) ?? this.#busy
  }

  async #send(json: string): Promise<Outcome> {
    if (!this.#circuit.enter()) return this.#resting
    try {
      const verdict = verdictOf(await this.#client.post(json))
      this.#circuit.succeeded()
      return verdict
    } catch (error) {
      // Else a stranger could ask what it does not take until nobody is let in.
      if (error instanceof QuestionRefused) this.#circuit.succeeded()
      else this.#circuit.failed()
      const { message: rule } = error as Error
      if (!this.#client.isClosed) {
        const fields = { url: this.name, rule }
        this.#limitedLog.warn('service', fields, 'the service gave no answer that can be used')
      }
      return failure(ReasonCode.ServerUnavailable, `${this.name}: ${rule}`, HINT)
    }
  }
}

function failure(reasonCode: number, rule: string, hint: string): Outcome {
  return { kind: 'failure', decision: denial(reasonCode, rule, hint) }
}
