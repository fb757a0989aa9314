/** Who asks: operators may change everybody's endings. */
export interface Caller {
  name: string
  operator: boolean
  /** W3C trace context of what is asked for just now: whatever it changes belongs to that from then on */
  traceparent?: string
  /** May read everything and change nothing, not even in its own name. */
  readOnly?: true
}

/** Whether somebody may change what belongs to `owner`. */
export function mayChange(caller: Caller, owner: string): boolean {
  return caller.operator || caller.name === owner
}
