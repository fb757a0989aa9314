/** The values that a label may have where somebody else chooses the name: those known beforehand, and one for all else. */
export class Names {
  readonly #known: ReadonlySet<string>

  constructor(known: Iterable<string>) {
    this.#known = new Set(known)
  }

  get all(): string[] {
    return [...this.#known, OTHER]
  }

  of(name: string): string {
    return this.#known.has(name) ? name : OTHER
  }
}

export const OTHER = 'other'
