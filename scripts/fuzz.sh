#!/usr/bin/env bash
# Gives the decoders bytes that a fuzzer makes up (`docs/fuzzing.md`), and prints a line for each: what was done, how far
# it came, what it found. Needs a C++ compiler; cargo-fuzz is installed by scripts/tools.sh.
#
#   scripts/fuzz.sh [TARGET|all] [SECONDS]   60 seconds each, all targets, one after the other
#   scripts/fuzz.sh list                     the targets
#   scripts/fuzz.sh keep [TARGET|all]        take the smallest inputs that reach most into fuzz/corpus, which tests run
#
# What is found lies in target/fuzz/corpus/TARGET, findings in target/fuzz/findings/TARGET, and the last run's log beside
# them. Exit code 1: something was found.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/fuzz"
target=$(cd "$target" && pwd)
work=$target/fuzz
# How many inputs are kept of a target, and how many bytes they have: all of them are to stay a small part of the
# repository.
most=30
most_bytes=10000

need c++ "libFuzzer"
scripts/tools.sh fuzz

# On any toolchain: coverage needs no nightly one, and sanitizers have nothing to look for without unsafe code.
"$target/tools/bin/cargo-fuzz" build --sanitizer none --target-dir "$work/build" decoders 2>"$work/build.log" ||
  { cat "$work/build.log" >&2; fail "the decoders do not build"; }
program=$(find "$work/build" -path '*/release/decoders' -type f | head -n 1)

list() { MURMUR_FUZZ=list "$program" 2>/dev/null; }

names() { # TARGET or all
  if [ "$1" = all ]; then list; return; fi
  list | grep -Fx "$1" || fail "there is no target \`$1\`; \`scripts/fuzz.sh list\` names them"
}

run() { # target, seconds
  local name=$1 seconds=$2 corpus=$work/corpus/$1 findings=$work/findings/$1 log=$work/$1.log status=0
  mkdir -p "$corpus" "$findings" "fuzz/corpus/$name"
  # Lengths grow slowly by themselves: decoders with long inputs are met by their seeds.
  MURMUR_FUZZ=$name MURMUR_FUZZ_SEEDS=$corpus "$program" "$corpus" "fuzz/corpus/$name" -max_total_time="$seconds" \
    -artifact_prefix="$findings/" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1 || status=$?
  local runs coverage found
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 || true)
  found=$(find "$findings" -type f | wc -l)
  printf '%-18s %6s s  %11s executions  %-12s %6s inputs  %s findings\n' \
    "$name" "$seconds" "${runs:-?}" "${coverage:-cov: ?}" "$(find "$corpus" -type f | wc -l)" "$found"
  [ "$status" -eq 0 ] && [ "$found" -eq 0 ] && return
  sed -n '/panicked at/,/^stack backtrace/p' "$log" | head -n 20
  return 1
}

keep() { # target
  local name=$1 merged file
  merged=$(mktemp -d)
  mkdir -p "$work/corpus/$name" "fuzz/corpus/$name"
  MURMUR_FUZZ=$name "$program" -merge=1 -max_len=16384 "$merged" "$work/corpus/$name" "fuzz/corpus/$name" >"$work/$name.keep.log" 2>&1 ||
    fail "the inputs of \`$name\` cannot be merged; see $work/$name.keep.log"
  # What was found once stays, whatever it reaches.
  find "fuzz/corpus/$name" -type f ! -name 'found-*' -delete
  # Of every length some, the short ones first: evenly over those that fit.
  find "$merged" -type f -printf '%s %p\n' | sort -n | awk -v most="$most" -v bytes="$most_bytes" '
    { size[NR] = $1; file[NR] = $2 }
    END {
      for (last = NR; last > 0; last--) {
        count = (last < most) ? last : most
        total = 0
        for (n = 1; n <= count; n++) total += size[int(n * last / count)]
        if (total <= bytes) break
      }
      for (n = 1; n <= count && last > 0; n++) print file[int(n * last / count)]
    }' | while read -r file; do cp "$file" "fuzz/corpus/$name/"; done
  rm -rf "$merged"
  printf '%-18s %4s inputs kept\n' "$name" "$(find "fuzz/corpus/$name" -type f | wc -l)"
}

case ${1:-all} in
  list) list ;;
  keep) for name in $(names "${2:-all}"); do keep "$name"; done ;;
  *)
    status=0
    for name in $(names "${1:-all}"); do run "$name" "${2:-60}" || status=1; done
    exit "$status"
    ;;
esac
