#!/bin/sh
# Installs what the build, the tests and the demo need and this machine lacks. Safe to run again: it does only what is
# missing, says what it does, and where it may not install, says what to type. With the argument "referees" it installs
# also what scripts/referees runs: Electrum, and packages of npm into that folder. With the argument "browser" it installs
# also Chromium, which a test in cmd/exchanged drives.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v go >/dev/null 2>&1 || fail "Go is missing: install the version that go.mod names, then run this again"
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || missing_cc=1

softhsm_module() {
	for f in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so /usr/lib64/pkcs11/libsofthsm2.so \
		/usr/local/lib/softhsm/libsofthsm2.so "${SOFTHSM2_MODULE:-/nonexistent}"; do
		[ -e "$f" ] && return 0
	done
	return 1
}

postgres_server() {
	for f in /usr/lib/postgresql/*/bin/initdb; do
		[ -x "$f" ] && return 0
	done
	command -v initdb >/dev/null 2>&1
}

referees=""
if [ "${1:-}" = referees ]; then
	referees=scripts/referees
	command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 && node -e \
		'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
		fail "the referees need Node.js 20.19 or newer with npm: install both (https://nodejs.org has packages), then type: make referees"
fi

want=""
[ -z "${missing_cc:-}" ] || want="$want gcc libc6-dev"
softhsm_module || want="$want softhsm2"
command -v ssh-keygen >/dev/null 2>&1 || want="$want openssh-client"
command -v curl >/dev/null 2>&1 || want="$want curl ca-certificates"
postgres_server || want="$want postgresql"
[ "${1:-}" != browser ] || command -v chromium >/dev/null 2>&1 || want="$want chromium"
[ -z "$referees" ] || /usr/bin/python3 -I -c 'import electrum' 2>/dev/null || want="$want electrum"

if [ -n "$want" ]; then
	command -v apt-get >/dev/null 2>&1 || fail "missing:$want. This machine has no apt-get: install them with its own package manager, then run this again"
	if [ "$(id -u)" = 0 ]; then as_root=""; elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo"
	else fail "missing:$want. Type: sudo apt-get install --no-install-recommends$want"; fi
	say "installing$want (apt-get)"
	$as_root apt-get update -qq >/dev/null
	case "$want" in *" postgresql"*)
		# The tests start private servers of their own. The package would also make and start one of the system's:
		# postgresql-common, which decides that, comes first and is told not to.
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null
		$as_root sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
	esac
	# shellcheck disable=SC2086  # one word a package
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $want >/dev/null
fi

installed=$referees/node_modules/.package-lock.json
if [ -n "$referees" ] && { [ ! -e "$installed" ] || [ $referees/package-lock.json -nt "$installed" ]; }; then
	say "installing the referees of npm, exactly as $referees/package-lock.json says"
	(cd $referees && npm ci --ignore-scripts --loglevel=error >/dev/null) ||
		fail "npm could not install the referees: check that it reaches its registry, then type: make referees"
	touch "$installed"
fi

stamp=build/bin/.tools
if [ ! -x build/bin/btcd ] || [ ! -x build/bin/btcctl ] || [ ! -x build/bin/staticcheck ] || [ ! -x build/bin/nats-server ] || [ scripts/tools/go.sum -nt "$stamp" ]; then
	say "building btcd, btcctl, nats-server and staticcheck at their pinned versions (half a minute the first time)"
	mkdir -p build/bin
	go build -C scripts/tools -o ../../build/bin/ github.com/btcsuite/btcd github.com/btcsuite/btcd/cmd/btcctl github.com/nats-io/nats-server/v2 honnef.co/go/tools/cmd/staticcheck
	touch "$stamp"
fi
say "ready: Go, C compiler, SoftHSM, ssh-keygen, PostgreSQL, btcd, staticcheck"
