#!/usr/bin/env bash
# Installs matplotlib, for the plots of the bench only, into FOLDER: matplotlib.sh FOLDER. Without it there are none.
set -u
folder=$1 version=3.11.2
[ ! -e "$folder/installed-$version" ] || exit 0
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
if ! python3 -m venv "$folder" >"$folder.log" 2>&1; then
    echo "skipped: plots: python3 has no venv"
    rm -rf "$folder"
elif ! "$folder/bin/pip" install --quiet "matplotlib==$version" >>"$folder.log" 2>&1; then
    echo "skipped: plots: pip could not install matplotlib $version"
    rm -rf "$folder"
else
    touch "$folder/installed-$version"
fi
exit 0
