# The image that takes backups in containers: ours, and PostgreSQL's own programs beside it; for the
# drill the whole server, with TimescaleDB. After deploy/server/Dockerfile:
#
#   docker build -f deploy/server/backup.Dockerfile -t suifang-backup:0.1.0 .
#
# Its account has the number that the database's image gives to postgres: the shelf is of both.
FROM suifang:0.1.0

USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends procps postgresql-common \
 && sed -ri 's/^#?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
 && apt-get install -y --no-install-recommends postgresql-17 postgresql-17-timescaledb \
 && rm -rf /var/lib/apt/lists/* \
 && groupmod --gid 70 postgres && usermod --uid 70 --gid 70 postgres \
 && ln -s /opt/suifang/bin/suifang /usr/local/bin/suifang

USER 70:70
