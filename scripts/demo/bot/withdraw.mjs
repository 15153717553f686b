// Asks for a withdrawal, with a key that may do that from this machine alone.
// node withdraw.mjs AMOUNT ADDRESS
import { open } from './exchange.mjs'

const [amount, address] = process.argv.slice(2)
const asked = await open('keys/withdraw.json').withdraw('BTC', Number(amount), address, undefined, { network: 'BTC' })
console.log('withdrawal', asked.id, 'asked for')
