#!/bin/sh
# Compares CHECKLIST.md with the tests of the wrappers: each of its lines is shown in each language, or the table gives
# a letter, which is a reason. And trophy.h with the wrappers that have a type for options: each has them all.
# Prints what does not agree.
set -eu
cd "$(dirname "$0")"
list=CHECKLIST.md
languages="cpp $(ls -d */test.sh | sed 's|/test.sh||')"
marks=$(mktemp)
trap 'rm -f "$marks"' EXIT

# "language id", for each `shows:` in a test.
for language in $languages; do
	folders=$language
	[ "$language" != cpp ] || folders="../examples/cpp ../tests/cpp"
	# shellcheck disable=SC2086
	grep -rhoE --exclude-dir=node_modules --exclude-dir=.build 'shows: [a-z, -]+' $folders |
		sed 's/shows: //' | tr ', ' '\n\n' | sed '/^$/d' | sort -u | sed "s/^/$language /" >>"$marks"
done

printf '%s\n' $languages | awk -F ' *[|] *' -v marks="$marks" '
	FILENAME == "-" { languages[$0]; next }
	FILENAME == marks { split($0, mark, " "); shown[mark[1], mark[2]]; next }
	/^- [a-z]: / { reasons[substr($0, 3, 1)]; next }
	# The table of what is shown has two columns, that of the languages more.
	/^[|] `/ && NF == 4 { gsub(/`/, "", $2); ids[$2]; next }
	/^[|] [|]/ { for (i = 3; i < NF; i++) { column[i] = $i; has[$i] } next }
	/^[|] `/ { gsub(/`/, "", $2); for (i = 3; i < NF; i++) cell[column[i], $2] = $i }
	END {
		for (language in languages) {
			if (!(language in has)) { print language ": has no column"; wrong = 1 }
			for (id in ids) {
				said = cell[language, id]
				is_shown = (language, id) in shown
				if (said == "yes" && !is_shown) { print language ": no test shows " id; wrong = 1 }
				if (said != "yes" && is_shown) { print language ": a test shows " id ", the table says: " said; wrong = 1 }
				if (said != "yes" && !(said in reasons)) { print language ": " id " has no reason: " said; wrong = 1 }
			}
		}
		for (pair in shown) {
			split(pair, mark, SUBSEP)
			if (!(mark[2] in ids)) { print mark[1] ": there is no line " mark[2]; wrong = 1 }
		}
		exit wrong
	}' - "$marks" "$list"

# `callbacks` is not for those three: they know by themselves where callbacks are to run.
options=$(sed -n '/^ [*] CLIENT OPTIONS/,/^ [*][/]/s/^ [*] \{1,3\}\([a-z_]*\)  .*/\1/p' ../include/trophy.h | grep -vx callbacks)
[ "$(echo "$options" | wc -l)" -ge 30 ]
{
	sed -n 's/.*json:"\([a-z_]*\).*/go \1/p' go/options.go
	sed -n 's/^ *\([a-z_]*\)?: .*/node \1/p' node/trophy.d.ts
	# additionalHeaders is additional_headers, and baseURL base_url.
	sed -n 's/.*public var \([A-Za-z]*\).*/swift \1/p' swift/Sources/Trophy/Options.swift |
		sed 's/\([a-z]\)\([A-Z]\)/\1_\2/g' | tr '[:upper:]' '[:lower:]'
} >"$marks"
missing=0
for language in go node swift; do
	for option in $options; do
		grep -qx "$language $option" "$marks" || { echo "$language: has no option $option" && missing=1; }
	done
done
[ "$missing" = 0 ]
echo "the list and the tests agree"
