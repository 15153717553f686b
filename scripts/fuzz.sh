#!/bin/sh
# Runs the fuzz targets of the project one after the other (go test -fuzz takes one at a time).
#
#   sh scripts/fuzz.sh              each for 20 s
#   sh scripts/fuzz.sh 5m           each for five minutes
#   sh scripts/fuzz.sh 1000000x     each a million times
#   FUZZTIME=10000000x make fuzz    each ten million times: a night or two, see docs/controls.md 25
#   sh scripts/fuzz.sh 1000000x internal/chain/bitcoin:FuzzRead internal/wallet:FuzzParse     only these
#
# FUZZPARALLEL (2) is how many processes run one target. An input that covers something new is kept as it is, and not
# made smaller first: that takes a minute each time, and only a failure is worth it.
set -eu
cd "$(dirname "$0")/.."
each=${1:-20s}
[ $# -eq 0 ] || shift
parallel=${FUZZPARALLEL:-2}

targets() {
	grep -rl --include='*_test.go' '^func Fuzz' cmd internal hsm | sort | while read -r file; do
		sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F.*|$(dirname "$file"):\1|p" "$file"
	done
}

[ $# -gt 0 ] || set -- $(targets)
for target in "$@"; do
	printf 'fuzz: %s %s, %s\n' "${target%%:*}" "${target#*:}" "$each"
	go test -run='^$' -fuzz="^${target#*:}\$" -fuzztime="$each" -fuzzminimizetime=1x -parallel="$parallel" "./${target%%:*}" </dev/null
done
