#!/bin/sh
# Runs once in the compose container, after the image made TimescaleDB part of template1:
# the role that owns Suifang's databases is no superuser.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$SUIFANG_DATABASE_PASSWORD" \
    --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE suifang LOGIN CREATEDB CREATEROLE PASSWORD :'password';
CREATE DATABASE suifang OWNER suifang TEMPLATE template1;
SQL
