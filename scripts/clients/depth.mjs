// A local order book, kept as Binance's documentation says ("How to manage a local order book correctly"), from the
// connector's stream and its REST snapshots, for thousands of updates while an account trades. At every hundredth update
// trading pauses and the local book has to equal a fresh snapshot, level by level.
import connector from '@binance/connector'
import { check, end, same, site, truth, within } from './check.mjs'

const quiet = { log () {}, info () {}, warn () {}, debug () {}, error () {} }
const { symbol } = site
const trader = new connector.Spot(site.trader.key, site.trader.secret, { baseURL: site.rest, logger: quiet })
const reader = new connector.Spot('', '', { baseURL: site.rest, logger: quiet })

let local
const early = []
let levels = 0
let updates = 0
let wake = () => {}

function put (side, rows) {
  for (const [price, qty] of rows) {
    levels++
    if (Number(qty) === 0) local[side].delete(price)
    else local[side].set(price, qty)
  }
}

function take (e) {
  if (e.u <= local.last) return
  truth(e.U <= local.last + 1 && (!local.synced || e.U === local.last + 1), `update ${e.U}..${e.u} after ${local.last}`)
  local.synced = true
  put('bids', e.b)
  put('asks', e.a)
  local.last = e.u
  updates++
}

let broken
function heard (text) {
  try {
    const e = JSON.parse(text)
    if (e.e !== 'depthUpdate') return
    if (!local) early.push(e)
    else take(e)
  } catch (e) {
    broken = e
  }
  wake()
}

function same2 (snapshot) {
  for (const side of ['bids', 'asks']) {
    same(local[side].size, snapshot[side].length, `number of ${side}`)
    for (const [price, qty] of snapshot[side]) same(local[side].get(price), qty, `${side} at ${price}`)
  }
}

await check(`a local book over ${site.updates} changes of levels`, async () => {
  let opened
  const ready = new Promise(resolve => { opened = resolve })
  const ws = new connector.WebsocketStream({ wsURL: site.stream, logger: quiet, callbacks: { open: () => opened(), message: heard } })
  ws.subscribe(symbol.toLowerCase() + '@depth@100ms')
  await within(5000, 'the connection', ready)

  // No more than 80 prices, so that a snapshot of 100 levels is the whole book and costs least.
  const price = () => (45000 + Math.floor(Math.random() * 80) / 4).toFixed(2)
  const place = () => trader.newOrder(symbol, Math.random() < 0.5 ? 'BUY' : 'SELL', 'LIMIT',
    { price: price(), quantity: (0.001 + Math.floor(Math.random() * 100) / 1e5).toFixed(5), timeInForce: 'GTC', newOrderRespType: 'ACK', newClientOrderId: 'd' + Math.random().toString(36).slice(2) })
  // The programs keep to the limits that the exchange tells, and go on when there is room again.
  const limits = (await reader.exchangeInfo({ symbol })).data.rateLimits
  const most = limits.find(l => l.rateLimitType === 'REQUEST_WEIGHT').limit
  const orders = limits.find(l => l.rateLimitType === 'ORDERS' && l.interval === 'SECOND').limit
  let placed = 0 // orders in this interval of ten seconds
  const room = async weight => {
    while (Number((await reader.ping()).headers['x-mbx-used-weight-1m']) + weight > most) await new Promise(resolve => setTimeout(resolve, 5000))
  }
  const burst = async n => {
    await room(n + 20)
    if (placed + n > orders) await new Promise(resolve => setTimeout(resolve, 10_050 - Date.now() % 10_000))
    const answers = await Promise.all(Array.from({ length: n }, place))
    placed = Math.max(...answers.map(a => Number(a.headers['x-mbx-order-count-10s'])))
  }

  await burst(20)
  const snapshot = (await reader.depth(symbol, { limit: 100 })).data
  local = { last: snapshot.lastUpdateId, synced: false, bids: new Map(snapshot.bids), asks: new Map(snapshot.asks) }
  early.forEach(take)

  let compared = 0
  while (levels < site.updates) {
    await burst(60)
    if (Math.random() < 0.1) await trader.cancelOpenOrders(symbol).catch(() => {})
    const now = (await reader.depth(symbol, { limit: 100 })).data
    const deadline = Date.now() + 5000
    while (local.last < now.lastUpdateId && !broken) {
      truth(Date.now() < deadline, `update ${now.lastUpdateId} did not come; the last one is ${local.last}`)
      await new Promise(resolve => { wake = resolve; setTimeout(resolve, 200) })
    }
    if (broken) throw broken
    if (local.last === now.lastUpdateId) {
      same2(now)
      compared++
    }
  }
  await trader.cancelOpenOrders(symbol).catch(() => {})
  ws.disconnect()
  truth(compared > 5, 'nothing was compared')
  return `${updates} messages, ${levels} changes, ${compared} snapshots equal`
})
end(1)
