import { computed, signal } from './library.js'

/** Where one is, behind the #: a view, what it is about, and its filters, so that a view can be sent to a colleague. */
const hash = signal(location.hash)
addEventListener('hashchange', () => {
  hash.value = location.hash
})

export const address = computed(() => {
  const [path = '', query = ''] = hash.value.replace(/^#\/?/, '').split('?')
  const [view = '', ...rest] = path.split('/')
  return {
    view: view || 'now',
    id: decodeURIComponent(rest.join('/')),
    filters: Object.fromEntries(new URLSearchParams(query)),
  }
})

export function link(view, id = '', filters = {}) {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value))
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ''}${query.size > 0 ? `?${query}` : ''}`
}

export function go(view, id, filters) {
  location.hash = link(view, id, filters)
}
