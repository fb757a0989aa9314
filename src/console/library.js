import htm from './lib/htm.mjs'
import { h } from './lib/preact.mjs'

/** What every view is made of: text in a template is always text, whoever it came from. */
export const html = htm.bind(h)
export { useEffect, useMemo, useRef, useState } from './lib/hooks.mjs'
export { render } from './lib/preact.mjs'
export { computed, effect, signal } from './lib/signals.mjs'
