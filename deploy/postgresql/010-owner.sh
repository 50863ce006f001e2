#!/bin/sh
# Runs once in the compose container, after the image made TimescaleDB part of template1:
# the role that owns Suifang's databases is no superuser, and neither is who takes backups.
# psql reads the passwords by itself: they stand on no command line and in no log.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set owner `cat /run/secrets/OWNER_PASSWORD`
\set backup `cat /run/secrets/BACKUP_PASSWORD`
CREATE ROLE suifang LOGIN CREATEDB CREATEROLE PASSWORD :'owner';
CREATE DATABASE suifang OWNER suifang TEMPLATE template1;
CREATE ROLE suifang_backup LOGIN REPLICATION PASSWORD :'backup';
SQL
