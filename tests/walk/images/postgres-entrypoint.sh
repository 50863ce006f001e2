#!/bin/sh
# What the images `postgres` and `timescale/timescaledb` document of their first start, as far as
# deploy/compose.yaml uses it: a cluster, TimescaleDB in its templates, the scripts of initdb.d.
set -eu
[ "$1" = postgres ] || exec "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # shellcheck disable=SC2086 # Several words, as documented.
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
    export PGPASSWORD
    shift
    pg_ctl --wait -o "$* -c listen_addresses=''" start
    for database in template1 postgres; do
        psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$database" -c "CREATE EXTENSION timescaledb"
    done
    for script in /docker-entrypoint-initdb.d/*.sh; do
        "$script"
    done
    pg_ctl --wait --mode=fast stop
    unset PGPASSWORD
    set -- postgres "$@"
fi
exec "$@"
