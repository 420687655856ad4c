#!/usr/bin/env bash
# A certificate authority and a certificate of 127.0.0.1 in FOLDER, for the TLS rounds: certificates.sh FOLDER.
set -eu
mkdir -p "$1"
cd "$1"
[ ! -e server.pem ] || exit 0
new_key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $new_key -keyout ca.key -out ca.pem -days 3650 -subj "/CN=libtrophy bench CA" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>openssl.log
openssl req $new_key -keyout server.key -out server.csr -subj "/CN=127.0.0.1" 2>>openssl.log
printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n' > server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile server.ext \
    -out server.pem.new 2>>openssl.log
mv server.pem.new server.pem
