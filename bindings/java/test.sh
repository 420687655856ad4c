#!/bin/sh
# Runs the Java wrapper and its example against the sandbox. 0: passed. 77: skipped, a JDK or JNA is missing.
set -eu
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}/debug
: "${TROPHY_LIB_DIR:=$target}" "${TROPHY_SANDBOX:=$target/trophy-sandbox}" "${JNA_JAR:=/usr/share/java/jna.jar}"
TROPHY_LIBRARY=$TROPHY_LIB_DIR/libtrophy.so.1
[ -e "$TROPHY_LIBRARY" ] || TROPHY_LIBRARY=$TROPHY_LIB_DIR/libtrophy.so
export TROPHY_LIBRARY TROPHY_SANDBOX

if ! command -v javac >/dev/null 2>&1; then
	echo "skipped: no Java compiler (javac) is installed"
	exit 77
fi
if [ ! -e "$JNA_JAR" ]; then
	echo "skipped: $JNA_JAR is not installed (Debian: libjna-java)"
	exit 77
fi
classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT
java -version 2>&1 | head -n 1
javac --release 17 -Xlint:all,-processing -Werror -encoding UTF-8 -cp "$JNA_JAR" -d "$classes" src/main/java/so/trophy/*.java \
	example/Example.java src/test/java/Test.java
java -Xms64m -Xmx64m -XX:+AlwaysPreTouch -cp "$classes:$JNA_JAR" Test
echo passed
