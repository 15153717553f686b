#!/bin/sh
# Runs every fuzz target of the project for the given time each (go test -fuzz takes one target at a time).
set -eu
cd "$(dirname "$0")/.."
time_each=${1:-20s}
grep -rl --include='*_test.go' '^func Fuzz' cmd internal hsm | sort | while read -r file; do
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
		printf 'fuzz: %s %s for %s\n' "$(dirname "$file")" "$target" "$time_each"
		go test -run='^$' -fuzz="^$target\$" -fuzztime="$time_each" "./$(dirname "$file")" </dev/null
	done
done
