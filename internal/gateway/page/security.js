'use strict';
// The page of docs/api.md, "Passkeys". It carries what the customer wants to the gateway, has the passkey sign it, and
// carries the signature back. Everything is written with textContent: no text becomes markup.

const at = (id) => document.getElementById(id);
const field = (id) => at(id).value.trim();
const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const minutes = 60_000;

let waiting = null; // what is on the screen to be approved
let known = []; // the account's passkeys, once they were shown

function say(text, good) {
  at('notice').textContent = text;
  at('notice').className = good ? 'good' : 'bad';
  at('notice').hidden = text === '';
  if (text !== '') at('notice').scrollIntoView({ block: 'nearest' });
}

function account() {
  const n = Number(field('account'));
  if (!Number.isSafeInteger(n) || n < 1) throw new Error('Enter your account number first.');
  return n;
}

async function ask(path, body) {
  const response = await fetch('/security/' + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body), cache: 'no-store' });
  const answer = await response.json();
  if (response.status >= 500) throw new TypeError(answer.msg); // what became of it is not known
  if (!response.ok) throw new Error(answer.msg);
  return answer;
}

// plainly says what a browser's error means.
function plainly(error) {
  switch (error.name) {
    case 'NotAllowedError': return 'Your device did not confirm that it is you, or you stopped it. Nothing was approved.';
    case 'SecurityError': return 'Passkeys do not work at this address. Open the address that the exchange told you.';
    case 'InvalidStateError': return 'This device has a passkey of this account already.';
    case 'NotSupportedError': return 'This device cannot make such a passkey.';
    case 'TypeError': return 'The exchange cannot be reached, or this browser has no passkeys.';
    default: return error.message;
  }
}

// act runs one thing at a time and says how it went wrong.
async function act(work) {
  const buttons = [...document.querySelectorAll('button')].filter((b) => !b.disabled);
  buttons.forEach((b) => { b.disabled = true; });
  say('');
  try {
    await work();
  } catch (error) {
    say(plainly(error), false);
  } finally {
    buttons.forEach((b) => { b.disabled = false; });
  }
}

// makePasskey has the device make a passkey, and returns what the exchange needs of it. A device that has one of the account
// already makes no other: it would put it in the first one's place.
async function makePasskey(label, exclude) {
  const number = account();
  const begun = await ask('begin', { account: number });
  const id = new DataView(new ArrayBuffer(8));
  id.setBigUint64(0, BigInt(number));
  const made = await navigator.credentials.create({ publicKey: {
    rp: { id: begun.rp, name: begun.rp },
    user: { id: id.buffer, name: 'account ' + number, displayName: 'Account ' + number },
    challenge: toBytes(begun.challenge),
    pubKeyCredParams: [{ type: 'public-key', alg: -7 }, { type: 'public-key', alg: -8 }],
    authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
    excludeCredentials: exclude.map((id) => ({ type: 'public-key', id: toBytes(id) })),
    attestation: 'none',
    timeout: 5 * minutes,
  } });
  return { label, created: begun.created, nonce: begun.nonce, client: toText(made.response.clientDataJSON), attestation: toText(made.response.attestationObject) };
}

// sign has a passkey approve what the exchange wrote down.
async function sign(number, prepared) {
  const said = await navigator.credentials.get({ publicKey: { challenge: toBytes(prepared.challenge), rpId: prepared.rp, userVerification: 'required', timeout: 5 * minutes } });
  return { account: number, intent: prepared.intent, credential: toText(said.rawId), client: toText(said.response.clientDataJSON),
    authenticator: toText(said.response.authenticatorData), signature: toText(said.response.signature) };
}

function lines(list, pairs) {
  list.replaceChildren(...pairs.flatMap(({ name, text }) => {
    const dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = name;
    dd.textContent = text;
    return [dt, dd];
  }));
}

function show(id) {
  for (const one of ['review', 'result', 'forms']) at(one).hidden = one !== id;
  window.scrollTo(0, 0);
}

// review puts what was written down in front of the customer.
function review(number, prepared, then) {
  waiting = { number, prepared, then };
  at('review-title').textContent = prepared.title;
  lines(at('review-lines'), prepared.lines);
  show('review');
  at('review-title').focus(); // to be read before anything is pressed
}

function result(title, text, pairs) {
  at('result-title').textContent = title;
  at('result-text').textContent = text;
  lines(at('result-lines'), pairs);
  show('result');
}

async function approve() {
  const { number, prepared, then } = waiting;
  const signed = await sign(number, prepared);
  let lost = false;
  try {
    await ask('approve', signed);
  } catch (error) {
    if (error.name !== 'TypeError') throw error;
    lost = true; // the answer, and perhaps not the deed: a secret that may count is shown
  }
  waiting = null;
  then(prepared);
  if (!lost) return;
  at('result-title').textContent = 'Perhaps done';
  say('The answer was lost, so it is not certain that this was done. See what the account has before you rely on it.', false);
}

async function enrol() {
  const number = account(), enrolCode = field('enrol-code'), code = field('enrol-totp');
  const made = await makePasskey(field('enrol-label'), []);
  await ask('enrol', { account: number, ...made, enrol: enrolCode, code });
  at('enrol').reset();
  result('Passkey registered', 'From now on this passkey approves keys and addresses of your account.', []);
}

async function wantKey() {
  const number = account();
  const scopes = ['read', 'trade', 'withdraw'].filter((s) => at('key-' + s).checked);
  const allowed = field('key-allowed').split(/[\s,]+/).filter((s) => s !== '');
  const prepared = await ask('intent', { account: number, key: { scopes, allowed, label: field('key-label'), public: field('key-public') } });
  review(number, prepared, (p) => {
    at('key').reset();
    const pairs = [{ name: 'API key', text: p.key }];
    if (p.secret) pairs.push({ name: 'Secret, shown this once', text: p.secret });
    result('Key made', p.secret ? 'Write the secret down now: it cannot be shown again. The key withdraws after its waiting time.' : 'The key withdraws after its waiting time.', pairs);
  });
}

async function wantAddress() {
  const number = account();
  const prepared = await ask('intent', { account: number, address: { coin: field('address-coin'), address: field('address-text'), label: field('address-label') } });
  review(number, prepared, (p) => {
    at('address').reset();
    result('Address allowed', 'It can be paid to after its waiting time.', p.lines.filter((l) => l.name === 'Address' || l.name === 'Asset'));
  });
}

async function another() {
  const number = account();
  const made = await makePasskey(field('another-label'), known);
  review(number, await ask('intent', { account: number, passkey: made }), () => {
    at('another').reset();
    at('have').hidden = true;
    result('Passkey registered', 'Both passkeys approve keys and addresses of your account.', []);
  });
}

async function remove(id, name) {
  const number = account();
  const prepared = await ask('intent', { account: number, remove: id });
  review(number, { ...prepared, lines: [...prepared.lines, { name: 'Passkey', text: name }] }, () => {
    at('have').hidden = true;
    result('Passkey removed', 'It approves nothing any more.', []);
  });
}

function item(title, small) {
  const li = document.createElement('li'), code = document.createElement('code'), note = document.createElement('small');
  code.textContent = title;
  note.textContent = small;
  li.append(code, note);
  return li;
}

const when = (millis) => (millis > Date.now() ? 'usable from ' + new Date(millis).toLocaleString() : 'usable');
const none = () => [item('none', '')];

async function look() {
  const number = account();
  const prepared = await ask('intent', { account: number, look: true });
  const has = await ask('look', await sign(number, prepared));
  known = has.passkeys.map((p) => p.id);
  at('have-passkeys').replaceChildren(...has.passkeys.map((p) => {
    const registered = 'registered ' + new Date(p.added).toLocaleString();
    const li = item(p.label || 'passkey', registered + (p.synced ? '; kept by its maker, on your other devices too' : '; on one device'));
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'plain';
    button.textContent = 'Remove';
    button.addEventListener('click', () => act(() => remove(p.id, [p.label, registered].filter((s) => s !== '').join(', '))));
    if (has.passkeys.length > 1) li.append(button);
    return li;
  }));
  const items = (list, text) => (list.length === 0 ? none() : list.map((x) => item(text(x), [x.label, x.words, when(x.usable)].filter((s) => s !== '').join('; '))));
  at('have-keys').replaceChildren(...items(has.keys, (x) => x.name));
  at('have-addresses').replaceChildren(...items(has.addresses, (x) => x.name));
  at('have').hidden = false;
}

for (const [id, work] of Object.entries({ enrol, key: wantKey, address: wantAddress, look, another })) {
  at(id).addEventListener('submit', (event) => { event.preventDefault(); act(work); });
}
at('approve').addEventListener('click', () => act(approve));
at('cancel').addEventListener('click', () => { waiting = null; say(''); show('forms'); });
at('done').addEventListener('click', () => {
  lines(at('result-lines'), []);
  document.querySelectorAll('details').forEach((d) => { d.open = false; });
  say('');
  show('forms');
});
