#!/usr/bin/env bash
# Builds the console, so that the server that is built after it carries it. Without Node it says so, and nothing fails:
# the server then shows its page without a build step, and how to build the console.
set -euo pipefail
cd "$(dirname "$0")/.."

built=web/apps/console/dist/pack.tsv
if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' 2>/dev/null; then
  echo "Node 20 is not here: the server is built without its console"
  exit 0
fi
# Written anew, the server would be built anew.
newer=(find web -name node_modules -prune -o -name dist -prune -o -name .artifacts -prune -o -type f -newer "$built" -print -quit)
[[ -e $built && -z $("${newer[@]}") ]] && exit 0
scripts/needs.sh web
npm run --silent build --prefix web
