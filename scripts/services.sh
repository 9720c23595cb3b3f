#!/usr/bin/env bash
# The real services that the tests talk to, on loopback, without Docker:
#
#   scripts/services.sh install [NAME]...  install what is missing
#   scripts/services.sh start   [NAME]...  the same, then start, wait for a real answer, print versions
#   scripts/services.sh stop    [NAME]...  end in good order and remove the data
#   scripts/services.sh kill    [NAME]...  SIGKILL; the port and the data stay, and the next `start` goes on with them
#   scripts/services.sh status  [NAME]...  running, down (it was killed, or it crashed) or stopped; where
#   scripts/services.sh env     [NAME]...  the addresses of those that run: export $(scripts/services.sh env)
#
# NAME is kafka, dynamodb or valkey; all of them when none is named. DynamoDB Local has its data in memory, and loses them
# when it is killed: on a disk it waits for every write, and 80 updates a second were measured in place of 2,000.
#
# Each has a folder target/services/NAME with what was installed, its `log`, its `data`, and from `start` to `stop` its
# `port`. The settings are in scripts/services/NAME.
#
# MURMUR_KAFKA_PORT (19092; the port after it is taken too), MURMUR_DYNAMODB_PORT (18000) and MURMUR_VALKEY_PORT (16379)
# choose other ports; 0 is any free one.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

[ "$(uname -s)" = Linux ] || fail "this works on Linux only; compose.yaml offers the same services elsewhere"

sources=$PWD/scripts/services
services=${CARGO_TARGET_DIR:-target}/services
mkdir -p "$services"
services=$(cd "$services" && pwd)

# --- Kafka: one broker that is its own controller -------------------------------------------------------------------

# Any will do, as long as a broker that goes on after `kill` finds its own.
kafka_cluster=bXVybXVyLXRlc3RzLTAwMQ

kafka_install() {
  need_java
  once lib "$(cat "$sources/kafka/pom.xml")" install_jars kafka
}

kafka_launch() { # port
  sed -e "s|@PORT@|$1|" -e "s|@CONTROLLER_PORT@|$(($1 + 1))|" -e "s|@DATA@|$PWD/data|" \
    "$sources/kafka/server.properties" >server.properties
  local logging=-Dlog4j2.configurationFile=$sources/kafka/log4j2.properties
  if [ ! -f data/meta.properties ]; then
    java -cp 'lib/*' "$logging" kafka.tools.StorageTool format -t $kafka_cluster -c server.properties >>log 2>&1 ||
      fail "kafka: the data folder cannot be made; see $PWD/log"
  fi
  background java -Xms1g -Xmx1g -cp 'lib/*' "$logging" kafka.Kafka server.properties
}

# A Metadata request, version 1, about no topic; the answer must list one broker, node 1 at 127.0.0.1 and this port.
kafka_answers() { # port
  local request='\x00\x00\x00\x0e\x00\x03\x00\x01\x00\x00\x00\x07\xff\xff\x00\x00\x00\x00' answer
  answer=$(exchange "$1" "$request" 31 | od -An -v -tx1 | tr -d ' \n')
  [[ $answer == ????????00000007000000010000000100093132372e302e302e31$(printf %08x "$1") ]]
}

kafka_version() {
  printf 'Apache Kafka %s' "$(sed -n 's/.* Kafka version: \([^ ]*\).*/\1/p' log | tail -n 1)"
}

# --- DynamoDB Local -------------------------------------------------------------------------------------------------

dynamodb_install() {
  need_java
  need javac "the launcher of DynamoDB Local"
  need curl "asking DynamoDB Local whether it is there"
  once lib "$(cat "$sources/dynamodb/pom.xml")" install_jars dynamodb
  once classes "$(cat "$sources/dynamodb/pom.xml" "$sources/dynamodb/Loopback.java")" compile_loopback
}

compile_loopback() {
  rm -rf classes
  javac -cp 'lib/*' -d classes "$sources/dynamodb/Loopback.java"
}

dynamodb_launch() { # port
  background java -Xms512m -Xmx512m -Djava.library.path=lib -cp 'classes:lib/*' Loopback \
    -inMemory -sharedDb -disableTelemetry -port "$1"
}

# ListTables; the local one wants a signature to be there, and does not look at it.
dynamodb_answers() { # port
  local answer
  answer=$(curl --silent --max-time 5 "http://127.0.0.1:$1/" \
    --header 'Content-Type: application/x-amz-json-1.0' \
    --header 'X-Amz-Target: DynamoDB_20120810.ListTables' \
    --header 'Authorization: AWS4-HMAC-SHA256 Credential=local/20200101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0' \
    --data '{"Limit":1}') || return
  [[ $answer == *'"TableNames"'* ]]
}

dynamodb_version() {
  printf 'DynamoDB Local %s' "$(sed -n 's/^Version:[[:space:]]*//p' log | tail -n 1)"
}

# --- Valkey, or Redis where that is what the distribution has ---------------------------------------------------------

valkey_install() {
  valkey_program >/dev/null && return
  need apt-get "installing redis-server; or install Valkey yourself"
  [ "$(id -u)" = 0 ] || fail "neither valkey-server nor redis-server is on this machine: sudo apt-get install redis-server"
  apt_install redis-server "$PWD/log"
}

valkey_program() {
  command -v valkey-server || command -v redis-server
}

valkey_launch() { # port
  mkdir -p data
  background "$(valkey_program)" --bind 127.0.0.1 --port "$1" --dir data --save '' --appendonly yes
}

valkey_answers() { # port
  [ "$(exchange "$1" 'PING\r\n' 7)" = $'+PONG\r' ]
}

valkey_version() {
  "$(valkey_program)" --version | sed 's/ sha=.*//'
}

# --- what is the same for all; the functions above run in the folder of their service ---------------------------------

need_java() {
  need java "Kafka and DynamoDB Local"
  need mvn "downloading Kafka and DynamoDB Local"
  local version
  version=$(java -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 17 ] || fail "Java 17 or newer is needed for Kafka and DynamoDB Local; \`java\` is ${version:-of an unknown version}"
}

copy_dependencies=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies

install_jars() { # name
  rm -rf lib
  mvn --quiet --batch-mode --file "$sources/$1/pom.xml" $copy_dependencies -DoutputDirectory="$PWD/lib" >log 2>&1 ||
    fail "$1: Maven cannot download it; see $PWD/log"
}

# Starts a process in a session and process group of its own, with the present folder for its own, and keeps its id.
background() { # command...
  setsid "$@" </dev/null >>log 2>&1 9>&- &
  echo $! >pid
}

# Sends bytes and prints the first ones of the answer.
exchange() { # port, request as printf wants it, length of the answer
  # shellcheck disable=SC2059 # the request is the format
  (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "$2" >&3 && timeout 5 head -c "$3" <&3) 2>/dev/null || true
}

# The process of a service, when it runs. A process that has the same number by chance is at work in another folder.
running() { # name
  local folder=$services/$1 pid
  [ -f "$folder/pid" ] || return
  pid=$(cat "$folder/pid")
  [ "$(workplace "$pid")" = "$folder" ] || return
  echo "$pid"
}

# The folder that a process is at work in; Valkey goes on into its data.
workplace() { # process
  local folder
  folder=$(readlink "/proc/$1/cwd") || return
  echo "${folder%/data}"
}

port_of() { # name
  local variable=MURMUR_${1^^}_PORT fixed
  case $1 in
    kafka) fixed=19092 ;;
    dynamodb) fixed=18000 ;;
    valkey) fixed=16379 ;;
  esac
  echo "${!variable:-$fixed}"
}

# The sockets that listen on a port, one number a line.
listeners() { # port
  awk -v port="$(printf ':%04X' "$1")" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# As many free ports in a row as are wanted, below those that the system gives to clients; the first of them.
free_port() { # how many
  local first port
  while true; do
    first=$((20000 + RANDOM % 12000))
    for ((port = first; port < first + $1; port++)); do
      [ -z "$(listeners $port)" ] || continue 2
    done
    echo "$first"
    return
  done
}

# Who listens on a port, as well as it can be known.
owner() { # port
  local socket pid folder
  socket=$(listeners "$1" | sed -n 1p)
  pid=$(find /proc/[0-9]*/fd -lname "socket:\\[$socket\\]" 2>/dev/null | sed -n '1s|/proc/\([0-9]*\)/.*|\1|p')
  [ -n "$pid" ] || { echo "a process of another user"; return; }
  folder=$(workplace "$pid" || true)
  if [ "$(cat "$folder/pid" 2>/dev/null)" = "$pid" ]; then
    echo "process $pid of $folder/pid, a service of another clone"
  else
    echo "process $pid ($(cat "/proc/$pid/comm"))"
  fi
}

# The port of a service that is to be started: the one it had before it was killed, or the one that is asked for.
choose_port() { # name
  local port count=1 taken
  [ "$1" != kafka ] || count=2
  if [ -f "$services/$1/port" ]; then port=$(cat "$services/$1/port"); else port=$(port_of "$1"); fi
  [ "$port" != 0 ] || port=$(free_port $count)
  for ((taken = port; taken < port + count; taken++)); do
    [ -z "$(listeners $taken)" ] ||
      fail "$1: port $taken is taken by $(owner $taken). Stop that, or choose another port: MURMUR_${1^^}_PORT=0 takes any free one"
  done
  echo "$port"
}

launch() { # name
  running "$1" >/dev/null && return
  local port
  port=$(choose_port "$1")
  cd "$services/$1"
  [ -f port ] || : >log
  echo "$port" >port
  "$1_launch" "$port"
}

# Waits until a service answers as itself, and says so.
await() { # name
  local port pid seconds=$SECONDS
  cd "$services/$1"
  port=$(cat port)
  until "$1_answers" "$port"; do
    pid=$(running "$1") || { tail -n 20 log >&2; fail "$1 ended at its start; see $PWD/log"; }
    [ $((SECONDS - seconds)) -lt 90 ] || fail "$1 (process $pid) gives no answer on 127.0.0.1:$port; see $PWD/log"
    sleep 0.2
  done
  printf '%-9s 127.0.0.1:%-5s  %s\n' "$1" "$port" "$("$1_version")"
}

# Ends the process group of a service, and waits for that. It may end by itself before a signal comes.
end() { # name, signal
  local pid seconds=$SECONDS
  pid=$(running "$1") || return 0
  kill -s "$2" -- "-$pid" || true
  while running "$1" >/dev/null; do
    [ $((SECONDS - seconds)) -lt 30 ] || kill -s KILL -- "-$pid" || fail "$1 (process $pid) cannot be ended"
    sleep 0.1
  done
}

# One that runs is installed.
install_missing() { # name...
  local name
  for name; do
    mkdir -p "$services/$name"
    running "$name" >/dev/null || (cd "$services/$name"; "${name}_install")
  done
}

start() { # name...
  local name
  install_missing "$@"
  for name; do (launch "$name"); done
  for name; do (await "$name"); done
}

stop() { # name...
  local name
  for name; do
    end "$name" TERM
    rm -rf "${services:?}/$name"/{data,pid,port}
  done
}

crash() { # name...
  local name
  for name; do end "$name" KILL; done
}

status() { # name...
  local name pid
  for name; do
    if pid=$(running "$name"); then
      printf '%-9s running  127.0.0.1:%-5s  process %s\n' "$name" "$(cat "$services/$name/port")" "$pid"
    elif [ -f "$services/$name/port" ]; then
      printf '%-9s down     127.0.0.1:%-5s\n' "$name" "$(cat "$services/$name/port")"
    else
      printf '%-9s stopped\n' "$name"
    fi
  done
}

environment() { # name...
  local name address
  for name; do
    running "$name" >/dev/null || continue
    address=127.0.0.1:$(cat "$services/$name/port")
    case $name in
      kafka) echo "MURMUR_TEST_KAFKA=$address" ;;
      dynamodb) echo "MURMUR_TEST_DYNAMODB=http://$address" ;;
      valkey) echo "MURMUR_TEST_VALKEY=redis://$address" ;;
    esac
  done
}

verb=${1:-}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- kafka dynamodb valkey
for name; do
  case $name in
    kafka | dynamodb | valkey) ;;
    *) fail "there is no service \`$name\`: kafka, dynamodb, valkey" ;;
  esac
done

# One caller at a time changes something.
exclusive() {
  need flock "keeping two callers apart"
  need setsid "process groups of their own"
  exec 9>"$services/lock"
  flock 9
}

case $verb in
  install) exclusive; install_missing "$@" ;;
  start) exclusive; start "$@" ;;
  stop) exclusive; stop "$@" ;;
  kill) exclusive; crash "$@" ;;
  status) status "$@" ;;
  env) environment "$@" ;;
  *) echo "usage: scripts/services.sh install|start|stop|kill|status|env [kafka|dynamodb|valkey]..." >&2; exit 2 ;;
esac
