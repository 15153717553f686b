#!/bin/sh
# Installs what the build, the tests and the demo need and this machine lacks. Safe to run again: it does only what is
# missing, says what it does, and where it may not install, says what to type.
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

want=""
[ -z "${missing_cc:-}" ] || want="$want gcc libc6-dev"
softhsm_module || want="$want softhsm2"
command -v ssh-keygen >/dev/null 2>&1 || want="$want openssh-client"

if [ -n "$want" ]; then
	command -v apt-get >/dev/null 2>&1 || fail "missing:$want. This machine has no apt-get: install them with its own package manager, then run this again"
	if [ "$(id -u)" = 0 ]; then as_root=""; elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo"
	else fail "missing:$want. Type: sudo apt-get install --no-install-recommends$want"; fi
	say "installing$want (apt-get)"
	$as_root apt-get update -qq >/dev/null
	# shellcheck disable=SC2086  # one word a package
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $want >/dev/null
fi

stamp=build/bin/.tools
if [ ! -x build/bin/btcd ] || [ ! -x build/bin/btcctl ] || [ ! -x build/bin/staticcheck ] || [ scripts/tools/go.sum -nt "$stamp" ]; then
	say "building btcd, btcctl and staticcheck at their pinned versions (half a minute the first time)"
	mkdir -p build/bin
	go build -C scripts/tools -o ../../build/bin/ github.com/btcsuite/btcd github.com/btcsuite/btcd/cmd/btcctl honnef.co/go/tools/cmd/staticcheck
	touch "$stamp"
fi
say "ready: Go, C compiler, SoftHSM, ssh-keygen, btcd, staticcheck"
