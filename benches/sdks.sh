#!/usr/bin/env bash
# Installs the official SDKs, for the bench only, into FOLDER: sdks.sh FOLDER. What cannot be had is said in
# FOLDER/node.skipped or FOLDER/python.skipped, and the bench goes on without it.
set -u
folder=$1 node=1.0.42 python=1.27.0
mkdir -p "$folder"

skip() { # skip SDK WHY
    echo "$2" > "$folder/$1.skipped"
    echo "skipped: $1 SDK: $2"
}

if [ ! -e "$folder/node/node_modules/@trophyso/node/package.json" ]; then
    rm -f "$folder/node.skipped"
    if ! command -v npm >/dev/null; then
        skip node "npm is not installed"
    elif ! npm install --silent --no-audit --no-fund --prefix "$folder/node" "@trophyso/node@$node" >"$folder/node.log" 2>&1; then
        skip node "npm could not install @trophyso/node $node"
    fi
fi
if [ ! -e "$folder/python/installed" ]; then
    rm -f "$folder/python.skipped"
    if ! python3 -m venv "$folder/python" >"$folder/python.log" 2>&1; then
        skip python "python3 has no venv"
    elif ! "$folder/python/bin/pip" install --quiet "trophy==$python" >>"$folder/python.log" 2>&1; then
        skip python "pip could not install trophy $python"
    else
        touch "$folder/python/installed"
    fi
fi
exit 0
