// A local order book, kept as Binance's documentation says ("How to manage a local order book correctly"), from the
// connector's stream and its REST snapshots, for thousands of depthUpdate messages while two accounts trade; and the one
// that ccxt keeps by itself, from a stream of its own. Trading pauses again and again, and both books have to equal a
// fresh snapshot, level by level.
import connector from '@binance/connector'
import ccxt from 'ccxt'
import { check, end, same, site, truth, within } from './check.mjs'

const quiet = { log () {}, info () {}, warn () {}, debug () {}, error () {} }
const { symbol } = site
// Two accounts trade with each other: orders that never trade are slowed down.
const traders = [
  new connector.Spot(site.trader.key, site.trader.secret, { baseURL: site.rest, logger: quiet }),
  new connector.Spot(site.second.key, '', { baseURL: site.rest, logger: quiet, privateKey: site.second.private, privateKeyAlgo: connector.PrivateKeyAlgo?.ED25519 ?? 'ED25519' })
]
const reader = new connector.Spot('', '', { baseURL: site.rest, logger: quiet })
const limits = (await reader.exchangeInfo({ symbol })).data.rateLimits
const most = limits.find(l => l.rateLimitType === 'REQUEST_WEIGHT').limit
const orders = limits.find(l => l.rateLimitType === 'ORDERS' && l.interval === 'SECOND').limit

const later = ms => new Promise(resolve => setTimeout(resolve, ms))

// documented keeps a book as the documentation says.
class documented {
  early = []
  levels = 0
  updates = 0
  wake = () => {}

  async follow (rate) {
    let opened
    const ready = new Promise(resolve => { opened = resolve })
    this.ws = new connector.WebsocketStream({ wsURL: site.stream, logger: quiet, callbacks: { open: () => opened(), message: text => this.heard(text) } })
    this.ws.subscribe(`${symbol.toLowerCase()}@depth@${rate}`)
    await within(5000, 'the connection', ready)
  }

  heard (text) {
    try {
      const e = JSON.parse(text)
      if (e.e !== 'depthUpdate') return
      if (this.local) this.take(e)
      else this.early.push(e)
    } catch (e) {
      this.broken = e
    }
    this.wake()
  }

  begin (snapshot) {
    this.local = { last: snapshot.lastUpdateId, synced: false, bids: new Map(snapshot.bids), asks: new Map(snapshot.asks) }
    this.early.forEach(e => this.take(e))
  }

  take (e) {
    const { local } = this
    if (e.u <= local.last) return
    truth(e.U <= local.last + 1 && (!local.synced || e.U === local.last + 1), `update ${e.U}..${e.u} after ${local.last}`)
    local.synced = true
    for (const [side, rows] of [['bids', e.b], ['asks', e.a]]) {
      for (const [price, qty] of rows) {
        this.levels++
        if (Number(qty) === 0) local[side].delete(price)
        else local[side].set(price, qty)
      }
    }
    local.last = e.u
    this.updates++
  }

  // compare waits until the book knows what a snapshot knows, and compares when it knows exactly that.
  async compare (now) {
    const deadline = Date.now() + 5000
    while (this.local.last < now.lastUpdateId && !this.broken) {
      truth(Date.now() < deadline, `update ${now.lastUpdateId} did not come; the last one is ${this.local.last}`)
      await new Promise(resolve => { this.wake = resolve; setTimeout(resolve, 200) })
    }
    if (this.broken) throw this.broken
    if (this.local.last !== now.lastUpdateId) return 0
    for (const side of ['bids', 'asks']) {
      same(this.local[side].size, now[side].length, `number of ${side}`)
      for (const [price, qty] of now[side]) same(this.local[side].get(price), qty, `${side} at ${price}`)
    }
    return 1
  }
}

// own is the book that ccxt keeps: its code drops, checks and applies. What it throws ends the check.
class own {
  constructor () {
    this.x = new ccxt.pro.binance({ enableRateLimit: false, options: { defaultType: 'spot', fetchMarkets: { types: ['spot'] } } })
    Object.assign(this.x.urls.api, { public: site.rest + '/api/v3', private: site.rest + '/api/v3', sapi: site.rest + '/sapi/v1' })
    this.x.urls.api.ws.spot = site.stream + '/ws'
  }

  async follow (rate) {
    await this.x.loadHttpProxyAgent()
    await this.x.loadMarkets()
    const next = async () => { this.book = await this.x.watchOrderBook(site.unified, 1000, { watchOrderBookRate: rate.replace('ms', '') }) }
    this.loop = (async () => { while (!this.done) await next() })().catch(e => { if (!this.done) this.broken = e })
  }

  async compare (now) {
    const deadline = Date.now() + 5000
    while ((!this.book || this.book.nonce < now.lastUpdateId) && !this.broken) {
      if (Date.now() > deadline) return 0 // it skipped what only the last update told: the next comparison finds out
      await later(5)
    }
    if (this.broken) throw this.broken
    if (this.book.nonce !== now.lastUpdateId) return 0
    for (const side of ['bids', 'asks']) {
      same(this.book[side].length, now[side].length, `ccxt's number of ${side}`)
      now[side].forEach(([price, qty], i) => {
        same(this.book[side][i][0], Number(price), `ccxt's ${side} at ${i}`)
        same(this.book[side][i][1], Number(qty), `ccxt's ${side} at ${price}`)
      })
    }
    return 1
  }

  async close () {
    this.done = true
    await this.x.close()
  }
}

// No more than 80 prices, so that a snapshot of 100 levels is the whole book and costs least.
const price = () => (45000 + Math.floor(Math.random() * 80) / 4).toFixed(2)
const place = () => traders[Math.floor(Math.random() * 2)].newOrder(symbol, Math.random() < 0.5 ? 'BUY' : 'SELL', 'LIMIT',
  { price: price(), quantity: (0.001 + Math.floor(Math.random() * 100) / 1e5).toFixed(5), timeInForce: 'GTC', newOrderRespType: 'ACK', newClientOrderId: 'd' + Math.random().toString(36).slice(2) })

const clear = () => Promise.all(traders.map(t => t.cancelOpenOrders(symbol).catch(() => {})))

// The programs keep to the limits that the exchange tells, and go on when there is room again.
let placed = 0 // orders in this interval of ten seconds
async function burst (n) {
  while (Number((await reader.ping()).headers['x-mbx-used-weight-1m']) + n + 20 > most) await later(5000)
  if (placed + n > orders) await later(10_050)
  const answers = await Promise.all(Array.from({ length: n }, place))
  placed = Math.max(...answers.map(a => Number(a.headers['x-mbx-order-count-10s'])))
}

// keep trades until enough has come by a stream, and compares after every burst.
async function keep (rate, enough) {
  const doc = new documented()
  const theirs = new own()
  await doc.follow(rate)
  await theirs.follow(rate)
  await burst(20)
  doc.begin((await reader.depth(symbol, { limit: 100 })).data)
  const compared = [0, 0]
  while (!enough(doc)) {
    await burst(60)
    if (Math.random() < 0.1) await clear()
    const now = (await reader.depth(symbol, { limit: 100 })).data
    compared[0] += await doc.compare(now)
    compared[1] += await theirs.compare(now)
  }
  await clear()
  doc.ws.disconnect()
  await theirs.close()
  truth(compared[0] > 5 && compared[1] > 5, `compared ${compared}`)
  return `${doc.updates} messages, ${doc.levels} changes of levels; snapshots equal: ${compared[0]}, to ccxt's book: ${compared[1]}`
}

await check(`local books over ${site.updates} messages, one for each frame`, () => keep('0ms', doc => doc.updates >= site.updates))
await check('local books over 1000 changes of levels, every 100 ms', () => keep('100ms', doc => doc.levels >= 1000))
end(2)
