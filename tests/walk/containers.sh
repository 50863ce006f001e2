# What containers must hold once docs/containers.md was walked; run in the same machine, in its checkout.
cd deploy
export COMPOSE_PROFILES=backup

sql() { docker compose exec postgres sh -c 'PGPASSWORD=$(cat /run/secrets/POSTGRES_PASSWORD) psql -U postgres -At suifang -c "$1"' - "$1"; }

# Comes true within two minutes: nothing here is timed.
eventually() {
    for _ in $(seq 60); do
        if "$@"; then return 0; fi
        sleep 2
    done
    return 1
}

stored() { test "$(sql 'SELECT count(*) FROM reading')" = "$1"; }
raised() { test "$(sql 'SELECT count(*) FROM alert')" -ge 1; }
judged() { test "$(sql 'SELECT count(*) FROM resident_case')" -ge 1; }
seen() { curl -fsS http://127.0.0.1:9090/api/v1/targets | jq -e '[.data.activeTargets[].health] | length == 7 and all(. == "up")'; }

# Stored, an alert raised, and Prometheus sees every process.
eventually stored 1
eventually raised
eventually seen

# Nobody is root, and nobody can write beside the volumes.
for each in $(docker compose ps -q); do
    test "$(docker exec "$each" id -u)" -gt 0
    if docker exec "$each" sh -c 'echo x > /written'; then exit 1; fi
done

# The API answers who has a key, and nobody else.
key=$(docker compose run --rm tools api-key create --client walk --role contract_system --centre east-street --days 1)
curl -fsS -H "Authorization: Bearer $key" http://127.0.0.1:8000/v1/centres | grep 'East Street'
test "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/v1/centres)" = 401

# Who was registered is judged.
resident=$(sql 'SELECT DISTINCT resident_id FROM reading')
curl -fsS -X PUT -H "Authorization: Bearer $key" "http://127.0.0.1:8000/v1/residents/$resident" --json '{
    "team_id": "east-1", "birth_date": "1949-01-01", "sex": "male", "enrolled_on": "2026-01-05",
    "conditions": [{"condition": "hypertension", "since": "2019-05-20"}]}'
eventually judged

# The host reaches the database as the containers do (docs/backup.md), an operator a gateway.
docker run --rm --user 0 --network host --add-host postgres:127.0.0.1 \
    -v /etc/suifang/credentials:/run/secrets:ro suifang:0.1.0 migrate status
docker compose run --rm tools command report-status gw-0001

# Ingest is away, the broker is restarted, the database killed: what was sent meanwhile is there.
docker compose stop ingest-1 ingest-2
python3 /usr/local/bin/terminal 2
sleep 5
docker compose restart broker
docker compose kill postgres
docker compose up -d --wait
eventually stored 2

# The host restarts: nobody but the daemon starts anything, in whatever order.
systemctl restart docker
well() { test "$(docker ps --filter label=com.docker.compose.project=suifang --filter health=healthy -q | wc -l)" -eq 12; }
eventually well
eventually seen

# Everything ends and comes back.
docker compose down
python3 /usr/local/bin/terminal 3
docker compose up -d --wait
eventually stored 3
eventually seen
for each in $(docker compose ps -q); do test "$(docker inspect -f '{{.RestartCount}}' "$each")" -eq 0; done

# The database is lost, and put back out of its backups.
docker compose stop
docker compose run --rm --no-deps -v suifang_postgres-data:/data backup-base 'find /data -mindepth 1 -delete && suifang backup restore /data'
docker compose up -d --wait
eventually stored 3
