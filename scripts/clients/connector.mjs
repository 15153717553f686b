// Binance's own connector against the exchange, in HMAC and in Ed25519. Only addresses are changed.
import { sign } from 'node:crypto'
import connector from '@binance/connector'
import WebSocket from 'ws'
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

await check('stops, both modes of cancel-replace, candles of every interval', async () => {
  const x = open(site.trader)
  const stop = await body(x.newOrder(symbol, 'SELL', 'STOP_LOSS_LIMIT', { price: '20000', stopPrice: '21000', quantity: 0.01, timeInForce: 'GTC', newOrderRespType: 'RESULT' }))
  same(stop.workingTime, -1)
  const seen = await body(x.getOrder(symbol, { orderId: stop.orderId }))
  same(seen.isWorking, false)
  same(seen.stopPrice, '21000.00000000')
  const order = { price: '30000', quantity: 0.01, timeInForce: 'GTC' }
  const both = await body(x.cancelAndReplace(symbol, 'BUY', 'LIMIT', 'ALLOW_FAILURE', { cancelOrderId: stop.orderId, ...order }))
  same(both.cancelResult, 'SUCCESS')
  same(both.newOrderResponse.status, 'NEW')
  await refused(() => x.cancelAndReplace(symbol, 'BUY', 'LIMIT', 'ALLOW_FAILURE', { cancelOrderId: stop.orderId, ...order }), e => {
    same(e.response.status, 409)
    same(e.response.data.code, -2021)
    same(e.response.data.data.cancelResponse.code, -2011)
    same(e.response.data.data.newOrderResponse.status, 'NEW')
  })
  await refused(() => x.cancelAndReplace(symbol, 'BUY', 'LIMIT', 'STOP_ON_FAILURE', { cancelOrderId: stop.orderId, ...order }), e => same(e.response.data.code, -2022))
  same((await body(x.cancelOpenOrders(symbol))).length, 2)
  for (const interval of ['1s', '1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d', '3d', '1w', '1M']) await x.klines(symbol, interval, { limit: 5 })
})

await check('the WebSocket API, signed request by request', async () => {
  let opened
  const ready = new Promise(resolve => { opened = resolve })
  const waiting = new Map()
  const x = new connector.WebsocketAPI(site.trader.key, site.trader.secret, { wsURL: site.stream + '/ws-api/v3', logger: quiet,
    callbacks: { open: () => opened(), message: m => { const a = JSON.parse(m); waiting.get(a.id)?.(a) } } })
  await within(5000, 'the connection', ready)
  let n = 0
  const ask = (act, status = 200) => within(5000, 'the answer', new Promise(resolve => { const id = `c${++n}`; waiting.set(id, resolve); act(id) })).then(a => {
    same(a.status, status, JSON.stringify(a))
    return a.result ?? a.error
  })
  await ask(id => x.exchangeInfo({ id, symbol }))
  const o = await ask(id => x.newOrder(symbol, 'BUY', 'LIMIT', { id, price: '30000', quantity: '0.01', timeInForce: 'GTC', newOrderRespType: 'FULL' }))
  same((await ask(id => x.getOrder(symbol, { id, orderId: o.orderId }))).isWorking, true)
  const r = await ask(id => x.cancelReplaceOrder(symbol, 'ALLOW_FAILURE', 'BUY', 'LIMIT', { id, cancelOrderId: o.orderId, price: '30001', quantity: '0.01', timeInForce: 'GTC' }))
  same((await ask(id => x.openOrders(symbol, { id }))).length, 1)
  same((await ask(id => x.cancelOrder(symbol, { id, orderId: r.newOrderResponse.orderId }))).status, 'CANCELED')
  await new Promise(resolve => setTimeout(resolve, 2)) // the same bytes again would be the same request
  same((await ask(id => x.cancelOrder(symbol, { id, orderId: r.newOrderResponse.orderId }), 400)).code, -2011)
  same((await ask(id => x.account({ id }))).canTrade, true)
  await ask(id => x.orderLimit({ id }))
  await ask(id => x.orderHistory(symbol, { id }))
  await ask(id => x.myTrades(symbol, { id }))
  await ask(id => x.historicalTrades(symbol, { id }))
  x.disconnect()
})

await check('the WebSocket API, logged on with an Ed25519 key', async () => {
  const ws = new WebSocket(site.stream + '/ws-api/v3')
  const waiting = new Map()
  const heard = []
  ws.on('message', m => { const a = JSON.parse(m); a.id === undefined ? heard.push(a.event) : waiting.get(a.id)(a) })
  await within(5000, 'the connection', new Promise(resolve => ws.on('open', resolve)))
  let n = 0
  const ask = (method, params, status = 200) => within(5000, method, new Promise(resolve => { waiting.set(++n, resolve); ws.send(JSON.stringify({ id: n, method, params })) })).then(a => {
    same(a.status, status, JSON.stringify(a))
    return a.result ?? a.error
  })
  const logon = { apiKey: site.second.key, timestamp: Date.now() }
  logon.signature = sign(null, Buffer.from(`apiKey=${logon.apiKey}&timestamp=${logon.timestamp}`), site.second.private).toString('base64')
  same((await ask('session.logon', logon)).apiKey, site.second.key)
  await ask('userDataStream.subscribe')
  const order = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0.01', price: '30000' }
  const o = await ask('order.place', { ...order, timestamp: Date.now() })
  same((await ask('session.status')).userDataStream, true)
  same((await ask('order.cancel', { symbol, orderId: o.orderId, timestamp: Date.now() })).status, 'CANCELED')
  await ask('session.logout')
  same((await ask('order.place', { ...order, timestamp: Date.now() }, 401)).code, -2015)
  const reports = heard.filter(e => e.e === 'executionReport' && e.i === o.orderId).map(e => e.x)
  same(reports.join(), 'NEW,CANCELED')
  same(heard.findIndex(e => e.e === 'executionReport') < heard.findIndex(e => e.e === 'outboundAccountPosition'), true, 'reports come before balances')
  ws.close()
})

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

end(13)
