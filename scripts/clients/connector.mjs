// Binance's own connector against the exchange, in HMAC and in Ed25519. Only addresses are changed.
import connector from '@binance/connector'
import { check, end, refused, same, site, truth, within } from './check.mjs'

const quiet = { log () {}, info () {}, warn () {}, debug () {}, error () {} }
const open = a => a.private
  ? new connector.Spot(a.key, '', { baseURL: site.rest, privateKey: a.private, privateKeyAlgo: connector.PrivateKeyAlgo?.ED25519 ?? 'ED25519', logger: quiet })
  : new connector.Spot(a.key, a.secret, { baseURL: site.rest, logger: quiet })
const { symbol } = site
const body = async promise => (await promise).data

for (const [name, access] of [['HMAC', site.trader], ['Ed25519', site.second]]) {
  const x = open(access)
  await check(`${name}: market data`, async () => {
    await x.ping()
    truth(Math.abs((await body(x.time())).serverTime - Date.now()) < 5000, 'the clocks differ')
    const info = await body(x.exchangeInfo({ symbol }))
    same(info.symbols[0].symbol, symbol)
    truth((await body(x.depth(symbol, { limit: 5 }))).lastUpdateId > 0, 'a book without a number')
    await x.trades(symbol)
    await x.historicalTrades(symbol, { limit: 5 })
    await x.aggTrades(symbol)
    await x.klines(symbol, '1m', { limit: 5 })
    await x.uiklines(symbol, '1h')
    await x.avgPrice(symbol)
    same((await body(x.ticker24hr(symbol))).symbol, symbol)
    same((await body(x.ticker24hr('', [symbol]))).length, 1)
    same((await body(x.tickerPrice(symbol))).symbol, symbol)
    same((await body(x.bookTicker(symbol))).symbol, symbol)
  })

  await check(`${name}: an order's life`, async () => {
    await x.newOrderTest(symbol, 'BUY', 'LIMIT', { price: '30000', quantity: 0.01, timeInForce: 'GTC' })
    const o = await body(x.newOrder(symbol, 'BUY', 'LIMIT', { price: '30000', quantity: 0.01, timeInForce: 'GTC' }))
    same(o.status, 'NEW')
    same((await body(x.getOrder(symbol, { orderId: o.orderId }))).clientOrderId, o.clientOrderId)
    same((await body(x.openOrders({ symbol }))).length, 1)
    const r = await body(x.cancelAndReplace(symbol, 'BUY', 'LIMIT', 'STOP_ON_FAILURE', { cancelOrderId: o.orderId, price: '30001', quantity: 0.01, timeInForce: 'GTC' }))
    same(r.cancelResponse.status, 'CANCELED')
    same(r.newOrderResponse.status, 'NEW')
    same((await body(x.cancelOrder(symbol, { orderId: r.newOrderResponse.orderId }))).status, 'CANCELED')
    const maker = await body(x.newOrder(symbol, 'BUY', 'LIMIT_MAKER', { price: '30000', quantity: 0.01 }))
    truth(maker.orderId > r.newOrderResponse.orderId, 'identities do not rise')
    same((await body(x.cancelOpenOrders(symbol))).length, 1)
    truth((await body(x.allOrders(symbol))).length >= 3, 'orders are missing')
  })

  await check(`${name}: account, trades, limits, fees`, async () => {
    const a = await body(x.account())
    same(a.canTrade, true)
    truth(a.balances.some(b => b.asset === 'BTC'), 'no BTC')
    await x.myTrades(symbol)
    same((await body(x.orderCount())).length, 2)
    same((await body(x.tradeFee({ symbol })))[0].takerCommission, '0.00100000')
    same((await body(x.coinInfo())).find(c => c.coin === 'BTC').networkList[0].network, 'BTC')
    same((await body(x.apiPermissions())).enableReading, true)
    same((await body(x.systemStatus())).status, 0)
  })

  await check(`${name}: user data stream`, async () => {
    const { listenKey } = await body(x.createListenKey())
    await x.renewListenKey(listenKey)
    let heard
    const report = new Promise(resolve => { heard = resolve })
    let opened
    const ready = new Promise(resolve => { opened = resolve })
    const ws = new connector.WebsocketStream({
      wsURL: site.stream,
      logger: quiet,
      callbacks: { open: () => opened(), message: m => { const e = JSON.parse(m); if (e.e === 'executionReport') heard(e) } }
    })
    ws.userData(listenKey)
    await within(5000, 'the connection', ready)
    await new Promise(resolve => setTimeout(resolve, 200))
    const o = await body(x.newOrder(symbol, 'BUY', 'LIMIT', { price: '30000', quantity: 0.01, timeInForce: 'GTC' }))
    same((await within(5000, 'the report', report)).i, o.orderId)
    await x.cancelOrder(symbol, { orderId: o.orderId })
    ws.disconnect()
  })
}

await check('deposit address, withdrawal and histories', async () => {
  const x = open(site.payer)
  const a = await body(x.depositAddress('BTC', { network: 'BTC' }))
  truth(a.address.startsWith('bcrt1'), a.address)
  same((await body(x.depositHistory({ coin: 'BTC' }))).length, 0)
  const w = await body(x.withdraw('BTC', site.payTo, 0.25, { withdrawOrderId: 'connector' }))
  truth(w.id !== undefined, 'a withdrawal without an identity')
  const all = await body(x.withdrawHistory({ coin: 'BTC' }))
  same(all.find(one => one.withdrawOrderId === 'connector').status, 4)
  await refused(() => x.withdraw('BTC', site.payTo, 0.25, { withdrawOrderId: 'connector' }), e => same(e.response.data.code, -4001))
})

await check('a wrong secret', async () => {
  const thief = new connector.Spot(site.trader.key, 'x'.repeat(64), { baseURL: site.rest, logger: quiet })
  await refused(() => thief.account(), e => { same(e.response.status, 400); same(e.response.data.code, -1022) })
})

end(10)
