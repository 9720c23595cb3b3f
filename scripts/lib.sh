# shellcheck shell=bash
# What the scripts of this folder share. It is sourced.

# Ends the script with a message that says who speaks.
fail() {
  echo "$(basename "$0" .sh): $*" >&2
  exit 1
}

need() { # tool, what for
  command -v "$1" >/dev/null || fail "\`$1\` is missing on this machine; it is needed for $2"
}

# Runs an installation unless the one in place came from the same pinned versions.
once() { # what is installed (a path without its end), what decides the versions, command...
  local stamp="$1.stamp" wanted="$2"
  shift 2
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  "$@"
  printf '%s' "$wanted" >"$stamp"
}

# Installs a package of the distribution. Its list may be missing, or older than what the servers have.
apt_install() { # package, log
  local install=(apt-get install --yes --quiet --quiet --no-install-recommends "$1")
  DEBIAN_FRONTEND=noninteractive "${install[@]}" >"$2" 2>&1 ||
    { apt-get update --quiet --quiet && DEBIAN_FRONTEND=noninteractive "${install[@]}"; } >>"$2" 2>&1 ||
    fail "apt-get cannot install $1; see $2"
}
