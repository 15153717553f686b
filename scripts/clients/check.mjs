// What the programs share: the description of the exchange, and checks that are counted, so that a program that ran none
// fails.
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'

if (process.argv.length !== 3) {
  console.error('usage: node PROGRAM SITE.json')
  process.exit(2)
}
export const site = JSON.parse(readFileSync(process.argv[2], 'utf8'))

let done = 0
let failed = 0

export async function check (name, act) {
  try {
    const said = await act()
    done++
    console.log('  ok  ', name, said === undefined ? '' : said)
  } catch (e) {
    failed++
    console.log('  FAIL', name, e?.response?.data ? inspect(e.response.data) : (e?.stack ?? inspect(e)))
  }
}

export function same (have, want, what = 'value') {
  if (have !== want) throw new Error(`${what} is ${inspect(have)}, not ${inspect(want)}`)
}

export function truth (ok, what) {
  if (!ok) throw new Error(what)
}

// refused runs an act that has to be refused, and gives what it threw to the look.
export async function refused (act, look) {
  let thrown
  try {
    await act()
  } catch (e) {
    thrown = e
  }
  truth(thrown, 'it was not refused')
  look(thrown)
}

// within waits for a promise, and names what did not come.
export function within (ms, what, promise) {
  let timer
  const late = new Promise((resolve, reject) => { timer = setTimeout(() => reject(new Error(`${what} did not come within ${ms} ms`)), ms) })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export function end (least) {
  console.log(`  ${done} checks passed, ${failed} failed`)
  process.exit(failed > 0 || done < least ? 1 : 0)
}
