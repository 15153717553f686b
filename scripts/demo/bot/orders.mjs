// Prints the open orders of an account.
// node orders.mjs [KEYFILE]
import { open } from './exchange.mjs'

const orders = await open(process.argv[2] ?? 'keys/bot.json').fetchOpenOrders('BTC/USDT')
for (const o of orders) console.log('order', o.id, o.status, o.side, o.remaining, 'at', o.price)
