#!/usr/bin/env bash
# Makes sure that what the named steps need is here, and installs what is missing.
#   needs.sh build   a C compiler, for the allocator
#            web     the npm packages of web/
#            lint    rustfmt, clippy, the npm packages of conformance/ and web/
#            test    the same, Chromium, Python with venv, PostgreSQL's programs, strace
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()

want() { # want PACKAGE CHECK...: notes a Debian package whose check fails
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || packages+=("$package")
}

# Where the package puts them, not where PATH may have a client alone.
postgresql_programs() { compgen -G '/usr/lib/postgresql/*/bin/initdb'; }

install_packages() {
  ((${#packages[@]})) || return 0
  if ! command -v apt-get >/dev/null; then
    echo "missing here: ${packages[*]} (names of Debian packages); install them and try again" >&2
    exit 1
  fi
  local root=()
  # Without a terminal nobody can type a password.
  [[ $(id -u) -eq 0 ]] || { [[ -t 0 ]] && root=(sudo) || root=(sudo -n); }
  echo "installing ${packages[*]}"
  # The tests start servers of their own: the package's need not run, and none is made for it.
  if [[ " ${packages[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
    "${root[@]}" install -d /etc/postgresql-common
    echo 'create_main_cluster = false' | "${root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${packages[@]}"
}

rust_tools() {
  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
}

# npm ci empties the folder first, so it runs only where the lock file is newer than its result.
npm_packages() { # npm_packages FOLDER
  local done=$1/node_modules/.package-lock.json
  [[ -e $done && ! $1/package-lock.json -nt $done ]] && return
  npm ci --no-audit --no-fund --prefix "$1"
  touch "$done"
}

for step in "$@"; do
  case $step in
    build) want build-essential command -v cc ;;
    lint | web) ;;
    test)
      want chromium test -x "${CHROMIUM:-/usr/bin/chromium}"
      want python3-venv python3 -c 'import venv, ensurepip'
      want postgresql postgresql_programs
      want strace strace -V
      ;;
    *)
      echo "needs.sh: no step is called $step" >&2
      exit 1
      ;;
  esac
done
install_packages
if [[ " $* " == *" lint "* || " $* " == *" test "* ]]; then
  rust_tools
  npm_packages conformance
fi
if [[ " $* " == *" lint "* || " $* " == *" test "* || " $* " == *" web "* ]]; then
  npm_packages web
fi
