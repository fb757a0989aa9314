/** Who asks: operators may change everybody's endings. */
export interface Caller {
  name: string
  operator: boolean
}

/** Whether somebody may change what belongs to `owner`. */
export function mayChange(caller: Caller, owner: string): boolean {
  return caller.operator || caller.name === owner
}
