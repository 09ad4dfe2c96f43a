#!/bin/sh
# Makes deploy/compose/secrets: passwords, the server's settings with them, and, unless tls.crt and tls.key
# are there already, a certificate for trying it that no device will trust. What is there is kept.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets
secret() { [ -s "$1" ] || openssl rand -hex 24 | tr -d '\n' >"$1"; }
secret postgres_password
secret redis_password
secret grafana_password
[ -s tls.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout tls.key -out tls.crt 2>/dev/null
# Nobody may write to what an earlier run made: it is put in its place anew.
rm -f server.toml redis.conf
sed -e "s/@POSTGRES_PASSWORD@/$(cat postgres_password)/" -e "s/@REDIS_PASSWORD@/$(cat redis_password)/" \
    ../server.toml >server.toml
printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy allkeys-lru\n' \
    "$(cat redis_password)" >redis.conf
# Each container sees its own files, under its own user; the folder is closed to everybody else.
chmod 0444 ./*
