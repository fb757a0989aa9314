import { ask, key } from './api.js'
import { signal, useEffect, useMemo } from './library.js'

/**
 * What `path` answers, asked again every `everyMs` while somebody looks: `{ data, error, at }`, where `data` is the last
 * that was heard. `again` asks at once.
 */
export function usePolled(path, everyMs) {
  const state = useMemo(() => signal({ data: null, error: null, at: null }), [path])
  const again = useMemo(() => {
    let isAsking = false
    return async () => {
      if (isAsking || key.value === null || path === null) return
      isAsking = true
      try {
        state.value = { data: await ask('GET', path), error: null, at: Date.now() }
      } catch (error) {
        state.value = { ...state.value, error }
      } finally {
        isAsking = false
      }
    }
  }, [path])
  useEffect(() => {
    void again()
    const timer = setInterval(() => document.visibilityState === 'visible' && void again(), everyMs)
    const onLook = () => document.visibilityState === 'visible' && void again()
    document.addEventListener('visibilitychange', onLook)
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', onLook)
    }
  }, [path, everyMs])
  return { ...state.value, again, path }
}
