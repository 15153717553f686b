// ccxt with the address of this exchange in place of Binance's, and a key from a file.
import { readFileSync } from 'node:fs'
import ccxt from 'ccxt'

process.on('uncaughtException', e => { // what the exchange says, without the way through ccxt
  console.error(e.message)
  process.exit(1)
})

export function open (keyFile) {
  const { key, secret } = JSON.parse(readFileSync(keyFile, 'utf8'))
  const x = new ccxt.binance({ apiKey: key, secret, options: { defaultType: 'spot', fetchMarkets: { types: ['spot'] } } })
  const at = process.env.EXCHANGE // http://127.0.0.1:PORT
  Object.assign(x.urls.api, { public: at + '/api/v3', private: at + '/api/v3', sapi: at + '/sapi/v1' })
  return x
}
