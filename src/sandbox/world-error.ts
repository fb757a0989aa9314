/** Somebody asked the sandbox for what cannot be: shown to whoever controls it, never to a caller of the API. */
export class WorldError extends Error {
  override readonly name = 'WorldError'
  readonly code: 'not-found' | 'taken'

  constructor(code: 'not-found' | 'taken', message: string) {
    super(message)
    this.code = code
  }
}
