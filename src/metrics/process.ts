import { collectDefaultMetrics, Registry } from 'prom-client'

let registry: Registry | undefined

/**
 * What prom-client tells of the process, for every service in it: what it observes for that (garbage collection, delays
 * of the event loop) it never stops to observe. From the first time on that somebody asks.
 */
export function processMetrics(): Promise<string> {
  if (!registry) {
    registry = new Registry()
    collectDefaultMetrics({ register: registry })
  }
  return registry.metrics()
}
