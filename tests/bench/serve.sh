# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# `kv serve` against a service of Flask and SQLite in one process, and against redis-server behind
# webdis: gets and puts of 100 bytes over 64 connections that stay open, and the memory it takes.

connections=64
seconds=5
value=$(head -c 75 /dev/urandom | base64 -w0)
export KV_STORE=$scratch/store KV_SYNC=off

# wait_for URL: until a service answers.
wait_for() {
    local n
    for n in $(seq 100); do
        curl -s -o /dev/null "$1" && return
        sleep 0.1
    done
    die "nobody answers at $1 after $n tries"
}

# load NAME URL [LUA]: requests a second and the 99th percentile of their times in ms, appended to
# $scratch/NAME.rate and $scratch/NAME.p99.
load() {
    local script=$scratch/none.lua
    [ -z "${3-}" ] && : >"$script"
    [ -n "${3-}" ] && script=$3
    wrk -t2 -c$connections -d${seconds}s --latency -s "$script" "$2" >"$scratch/wrk" || die "wrk failed"
    grep -q 'Non-2xx' "$scratch/wrk" && die "$1: $(grep Non-2xx "$scratch/wrk")"
    sed -n 's/^Requests\/sec: *//p' "$scratch/wrk" >>"$scratch/$1.rate"
    awk '$1 == "99%" { t = $2; u = 1; if (t ~ /us$/) u = 0.001; else if (t ~ /[0-9]s$/) u = 1000
        sub(/[a-z]+$/, "", t); print t * u }' "$scratch/wrk" >>"$scratch/$1.p99"
}

rss() {
    awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

serve_all() {
    "$kv" serve --listen 127.0.0.1:18080 2>"$scratch/log" &
    pids=($!)
    wait_for http://127.0.0.1:18080/healthz
    curl -sf -X PUT --data-binary "$value" http://127.0.0.1:18080/v1/default/k || die "put failed"
    [ "$(curl -s http://127.0.0.1:18080/v1/default/k)" = "$value" ] || die "kv serves another value"
    python3 "$here/serve_peer.py" 18081 "$scratch/peer.db" >/dev/null 2>&1 &
    pids+=($!)
    wait_for http://127.0.0.1:18081/
    redis-server --port 18082 --save '' --appendonly no --dir "$scratch" >/dev/null &
    pids+=($!)
    printf '{"redis_host":"127.0.0.1","redis_port":18082,"http_host":"127.0.0.1","http_port":18083,"threads":2,"pool_size":20,"daemonize":false,"verbosity":0,"logfile":"/dev/null"}' \
        >"$scratch/webdis.json"
    webdis "$scratch/webdis.json" >/dev/null 2>&1 &
    pids+=($!)
    wait_for http://127.0.0.1:18083/PING
}

# lua FILE METHOD BODY [HEADER]: what wrk sends.
lua() {
    printf "wrk.method = '%s'\nwrk.body = '%s'\nwrk.headers['Content-Type'] = '%s'\n" \
        "$2" "$3" "${4-application/octet-stream}" >"$scratch/$1"
}

goal_get='at least 20× Flask'
table "serve: 100 bytes, $connections connections, sync off"
if ! have wrk curl python3 redis-server webdis || ! python3 -c 'import flask' 2>/dev/null; then
    echo 'bench: python3-flask or another peer IS NOT INSTALLED: serve is NOT MEASURED' >&2
    not_measured 'get' "$goal_get"
else
    serve_all
    trap 'kill "${pids[@]}" 2>/dev/null' EXIT
    kv_pid=${pids[0]}
    lua put.lua PUT "$value"
    lua flask_get.lua POST '{"id":"k"}' application/json
    lua flask_set.lua POST "{\"id\":\"k\",\"value\":\"$value\"}" application/json
    lua webdis_set.lua POST "SET/k/$value"
    curl -s -X POST -H 'Content-Type: application/json' -d "{\"id\":\"k\",\"value\":\"$value\"}" \
        http://127.0.0.1:18081/set >/dev/null
    curl -s -X PUT --data-binary "$value" http://127.0.0.1:18083/SET/k >/dev/null
    # webdis takes the value of a PUT from its body.
    lua webdis_put.lua PUT "$value"
    wrk -t1 -c1 -d1s http://127.0.0.1:18080/v1/default/k >/dev/null
    for _ in $(seq 3); do
        load kv_get http://127.0.0.1:18080/v1/default/k
        load flask_get http://127.0.0.1:18081/get "$scratch/flask_get.lua"
        load webdis_get http://127.0.0.1:18083/GET/k
        load kv_put http://127.0.0.1:18080/v1/default/k "$scratch/put.lua"
        load flask_put http://127.0.0.1:18081/set "$scratch/flask_set.lua"
        load webdis_put http://127.0.0.1:18083/SET/k "$scratch/webdis_put.lua"
    done
    both() {
        echo "$(median <"$scratch/$1.rate" | xargs printf '%.0f')/s, p99 $(median <"$scratch/$1.p99" | xargs printf '%.1f') ms"
    }
    r=$(ratio "$scratch/kv_get.rate" "$scratch/flask_get.rate")
    row 'get, against Flask and SQLite' "$(both kv_get)" "$(both flask_get)" "$r" "$goal_get" "$(verdict "$r >= 20")"
    r=$(ratio "$scratch/kv_put.rate" "$scratch/flask_put.rate")
    row 'put, against the same' "$(both kv_put)" "$(both flask_put)" "$r" - -
    r=$(ratio "$scratch/kv_get.rate" "$scratch/webdis_get.rate")
    row 'get, against webdis and redis-server' "$(both kv_get)" "$(both webdis_get)" "$r" - -
    r=$(ratio "$scratch/kv_put.rate" "$scratch/webdis_put.rate")
    row 'put, against the same' "$(both kv_put)" "$(both webdis_put)" "$r" - -

    # Memory: a service that has just begun, after 10,000 requests, and after 1,000,000.
    kill "$kv_pid"
    wait "$kv_pid" 2>/dev/null || true
    "$kv" serve --listen 127.0.0.1:18080 2>"$scratch/log" &
    pids[0]=$!
    wait_for http://127.0.0.1:18080/healthz
    count() {
        curl -s http://127.0.0.1:18080/metrics | awk '/^kv_http_request_duration_seconds_count/ { print $2 }'
    }
    until [ "$(count)" -ge 10000 ]; do
        wrk -t2 -c$connections -d1s http://127.0.0.1:18080/v1/default/k >/dev/null
    done
    small=$(rss "${pids[0]}")
    until [ "$(count)" -ge 1000000 ]; do
        wrk -t2 -c$connections -d5s http://127.0.0.1:18080/v1/default/k >/dev/null
    done
    large=$(rss "${pids[0]}")
    r=$(calc "$large / $small")
    row "memory after $(count) requests, against that after the first 10,000" "$large KiB" "$small KiB" "$r" \
        'at most 1.1×' "$(verdict "$r <= 1.1")"
    # That a service was ended by a signal is no failure of the run.
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    note "Medians of 3 rounds of $seconds s each, by wrk on the same machine, which takes its share of the" \
        'cores. Flask is its own server with threads, SQLite with WAL and synchronous=OFF; kv and Redis' \
        'sync nothing either.'
fi
