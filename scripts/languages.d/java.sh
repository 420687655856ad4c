#!/bin/sh
# Installs a Java compiler and JNA.
set -eu
command -v javac >/dev/null 2>&1 || apt-get install -y --no-install-recommends openjdk-17-jdk-headless
[ -e /usr/share/java/jna.jar ] || apt-get install -y --no-install-recommends libjna-java
