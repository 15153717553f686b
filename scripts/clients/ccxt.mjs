// ccxt against the exchange: what a bot's author calls, in HMAC and in Ed25519. Only addresses are changed, and ccxt is
// told to load spot markets alone.
import ccxt from 'ccxt'
import { check, end, refused, same, site, truth, within } from './check.mjs'

function open (access) {
  const x = new ccxt.pro.binance({
    apiKey: access.key,
    secret: access.private ?? access.secret,
    enableRateLimit: false,
    options: { defaultType: 'spot', fetchMarkets: { types: ['spot'] } }
  })
  Object.assign(x.urls.api, { public: site.rest + '/api/v3', private: site.rest + '/api/v3', sapi: site.rest + '/sapi/v1' })
  x.urls.api.ws.spot = site.stream + '/ws'
  x.urls.api.ws['ws-api'].spot = site.stream + '/ws-api/v3'
  return x
}

const hmac = open(site.trader)
const edwards = open(site.second)
const payer = open(site.payer)
for (const x of [hmac, edwards, payer]) await x.loadHttpProxyAgent() // ccxt asks for it where a stream is ws:// and not wss://
const symbol = site.unified

await check('status, time, markets and currencies', async () => {
  same((await hmac.fetchStatus()).status, 'ok')
  truth(Math.abs(await hmac.fetchTime() - Date.now()) < 5000, 'the clocks differ')
  const m = (await hmac.loadMarkets())[symbol]
  same(m.spot, true)
  same(m.active, true)
  same(m.precision.price, 0.01)
  same(m.precision.amount, 0.00001)
  same(m.limits.cost.min, 5)
  same(hmac.currencies.BTC.networks.BTC.withdraw, true)
  await edwards.loadMarkets()
  await payer.loadMarkets()
})

for (const [name, x] of [['HMAC', hmac], ['Ed25519', edwards]]) {
  await check(`${name}: balances`, async () => {
    const b = await x.fetchBalance()
    same(b.BTC.total, 100)
    same(b.USDT.free, 10000000)
  })

  await check(`${name}: limit, post-only, iceberg and stop orders, each cancelled`, async () => {
    for (const [type, side, amount, price, params] of [
      ['limit', 'buy', 0.01, 30000, {}],
      ['limit', 'buy', 0.01, 30000, { postOnly: true }],
      ['limit', 'buy', 0.01, 30000, { icebergQty: '0.002' }],
      ['limit', 'sell', 0.01, 20000, { stopPrice: 21000 }],
      ['market', 'sell', 0.01, undefined, { stopPrice: 21000 }]
    ]) {
      const o = await x.createOrder(symbol, type, side, amount, price, params)
      truth(o.id !== undefined && o.symbol === symbol, 'an order without an identity')
      const seen = await x.fetchOrder(o.id, symbol)
      same(seen.status, 'open')
      same(seen.amount, amount)
      same(seen.clientOrderId, o.clientOrderId)
      same((await x.fetchOpenOrders(symbol)).length, 1)
      const gone = await x.cancelOrder(o.id, symbol)
      same(gone.status, 'canceled')
      same((await x.fetchOpenOrders(symbol)).length, 0)
    }
  })
}

await check('an order book, and orders that meet in it', async () => {
  const asks = await hmac.createOrder(symbol, 'limit', 'sell', 1, 50000)
  const book = await hmac.fetchOrderBook(symbol, 5)
  same(book.asks[0][0], 50000)
  same(book.asks[0][1], 1)
  const market = await edwards.createOrder(symbol, 'market', 'buy', 0.25)
  same(market.status, 'closed')
  same(market.filled, 0.25)
  same(market.average, 50000)
  same(market.trades.length, 1)
  same(market.fees[0].currency, 'BTC')
  const byCost = await edwards.createMarketBuyOrderWithCost(symbol, 5000)
  same(byCost.cost, 5000)
  same(byCost.filled, 0.1)
  const ioc = await edwards.createOrder(symbol, 'limit', 'buy', 0.05, 50000, { timeInForce: 'IOC' })
  same(ioc.filled, 0.05)
  const fok = await edwards.createOrder(symbol, 'limit', 'buy', 0.1, 50000, { timeInForce: 'FOK' })
  same(fok.status, 'closed')
  await refused(() => edwards.createOrder(symbol, 'limit', 'buy', 9, 50000, { timeInForce: 'FOK' }), e => truth(e instanceof ccxt.InvalidOrder, e.message))
  await refused(() => edwards.createOrder(symbol, 'limit', 'buy', 1, 50000, { postOnly: true }), e => truth(e instanceof ccxt.OrderImmediatelyFillable, e.constructor.name + e.message))
  const rest = await hmac.fetchOrder(asks.id, symbol)
  same(rest.filled, 0.5)
  const edited = await hmac.editOrder(asks.id, symbol, 'limit', 'sell', 0.6, 50500)
  same(edited.price, 50500)
  same((await hmac.cancelAllOrders(symbol)).length, 1)
})

await check('what is refused is refused as Binance does', async () => {
  await refused(() => hmac.createOrder(symbol, 'limit', 'buy', 5000, 1000000), e => truth(e instanceof ccxt.InsufficientFunds, e.constructor.name + e.message))
  await refused(() => hmac.cancelOrder('999999', symbol), e => truth(e instanceof ccxt.OrderNotFound, e.constructor.name + e.message))
  await refused(() => hmac.fetchOrder('999999', symbol), e => truth(e instanceof ccxt.OrderNotFound, e.constructor.name + e.message))
  await refused(() => hmac.createOrder(symbol, 'limit', 'buy', 0.00001, 1), e => truth(e.message.includes('NOTIONAL'), e.constructor.name + e.message))
  const thief = open({ key: site.trader.key, secret: 'x'.repeat(64) })
  await refused(() => thief.fetchBalance(), e => truth(e.message.includes('-1022'), e.constructor.name + e.message))
})

await check('my trades, orders, fees, tickers, trades and candles', async () => {
  const mine = await edwards.fetchMyTrades(symbol)
  same(mine.length, 4)
  same(mine.reduce((sum, t) => sum + Math.round(t.amount * 1e8), 0), 0.5e8)
  same(mine[0].takerOrMaker, 'taker')
  truth((await hmac.fetchMyTrades(symbol)).every(t => t.takerOrMaker === 'maker' && t.fee.currency === 'USDT'), 'the maker pays in what it receives')
  truth((await hmac.fetchOrders(symbol)).length >= 5, 'orders are missing')
  truth((await hmac.fetchClosedOrders(symbol)).length >= 0, 'closed orders')
  same((await hmac.fetchTradingFee(symbol)).taker, 0.001)
  const t = await hmac.fetchTicker(symbol)
  same(t.last, 50000)
  same(t.baseVolume, 0.5)
  same((await hmac.fetchTrades(symbol)).length, 4)
  const candles = await hmac.fetchOHLCV(symbol, '1m')
  same(candles.reduce((sum, c) => sum + Math.round(c[5] * 1e8), 0), 0.5e8)
  truth(Object.keys(await hmac.fetchBidsAsks()).length >= 0, 'best prices')
  await hmac.fetchLastPrices()
})

await check('deposit address, deposits, withdrawal and its history', async () => {
  const first = await payer.fetchDepositAddress('BTC', { network: 'BTC' })
  truth(first.address.startsWith('bcrt1'), first.address)
  same((await payer.fetchDepositAddress('BTC')).address, first.address)
  same((await payer.fetchDeposits('BTC')).length, 0)
  const w = await payer.withdraw('BTC', 0.5, site.payTo, undefined, { network: 'BTC' })
  truth(w.id !== undefined, 'a withdrawal without an identity')
  const all = await payer.fetchWithdrawals('BTC')
  same(all.length, 1)
  same(all[0].status, 'pending')
  same(all[0].address, site.payTo)
  same(all[0].amount + all[0].fee.cost, 0.5)
  same((await payer.fetchBalance()).BTC.used, 0.5)
  await refused(() => payer.withdraw('BTC', 0.5, 'bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry'), () => {})
  await refused(() => hmac.withdraw('BTC', 0.5, site.payTo), e => truth(e.message.includes('-2015'), e.constructor.name + e.message))
})

for (const [name, x, other] of [['HMAC', hmac, edwards], ['Ed25519', edwards, hmac]]) {
  await check(`${name}: user data stream: orders, trades, balances`, async () => {
    const orders = x.watchOrders(symbol)
    const trades = x.watchMyTrades(symbol)
    const balance = x.watchBalance()
    await new Promise(resolve => setTimeout(resolve, 500)) // until it listens
    const o = await x.createOrder(symbol, 'limit', 'sell', 0.02, 50000)
    const seen = (await within(5000, 'the order', orders)).at(-1)
    same(seen.id, o.id)
    await other.createOrder(symbol, 'market', 'buy', 0.02)
    const t = (await within(5000, 'the trade', trades)).at(-1)
    same(t.order, o.id)
    same(t.amount, 0.02)
    truth((await within(5000, 'the balance', balance)).BTC !== undefined, 'no balance')
  })
}

await check('market streams: trades, ticker, candles, order book', async () => {
  const trades = hmac.watchTrades(symbol)
  const ticker = hmac.watchTicker(symbol)
  const candle = hmac.watchOHLCV(symbol, '1m')
  const best = hmac.watchBidsAsks([symbol])
  const feeder = setInterval(() => edwards.createOrder(symbol, 'limit', 'buy', 0.001, 40000 + Math.floor(Math.random() * 100)).catch(() => {}), 50)
  await within(5000, 'a book with ten bids', (async () => {
    while ((await hmac.watchOrderBook(symbol, 100)).bids.length < 10);
  })()).finally(() => clearInterval(feeder))
  await hmac.createOrder(symbol, 'limit', 'sell', 0.01, 49000)
  await edwards.createOrder(symbol, 'limit', 'buy', 0.01, 49000, { timeInForce: 'IOC' })
  same((await within(5000, 'the trade', trades)).at(-1).price, 49000)
  truth((await within(5000, 'the ticker', ticker)).last > 0, 'no last price')
  truth((await within(5000, 'the candle', candle)).length > 0, 'no candle')
  truth((await within(5000, 'the best prices', best))[symbol] !== undefined, 'no best prices')
  await edwards.cancelAllOrders(symbol)
})

await check('orders over the WebSocket API', async () => {
  const o = await hmac.createOrderWs(symbol, 'limit', 'buy', 0.01, 30000)
  same((await hmac.fetchOrderWs(o.id, symbol)).status, 'open')
  same((await hmac.cancelOrderWs(o.id, symbol)).status, 'canceled')
})

end(13)
