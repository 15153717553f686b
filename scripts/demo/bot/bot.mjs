// A bot: looks at the book, buys a little at the best price, leaves an order below it, and prints what it has.
// node bot.mjs [KEYFILE]
import { open } from './exchange.mjs'

const x = open(process.argv[2] ?? 'keys/bot.json')
const symbol = 'BTC/USDT'

const book = await x.fetchOrderBook(symbol, 5)
if (book.asks.length === 0) {
  console.log('Nobody sells: everything was bought. Leave the shell and open a new one.')
  process.exit(1)
}
const [price] = book.asks[0]
console.log('best ask', price, 'of', book.asks.length, 'levels')

const taken = await x.createOrder(symbol, 'limit', 'buy', 0.02, price)
for (const fill of taken.trades) console.log('filled', fill.amount, 'BTC at', fill.price, 'trade', fill.id)
console.log('order', taken.id, taken.status)

const resting = await x.createOrder(symbol, 'limit', 'buy', 0.01, x.priceToPrecision(symbol, price * 0.9))
console.log('order', resting.id, resting.status, 'at', resting.price)

const balance = await x.fetchBalance()
for (const coin of ['BTC', 'USDT']) console.log(coin, 'free', balance[coin].free, 'in orders', balance[coin].used)
