# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# The same commands on each engine, and the client that is native to it.

export KV_SYNC=off
count=100000
rounds=${KV_BENCH_ROUNDS:-5}
port=$((20000 + RANDOM % 20000))
goal='within 1.5×'

seq -f 'key%06.0f' "$count" >"$scratch/keys"
sed 's/.*/put & value/' "$scratch/keys" >"$scratch/puts"
sed 's/^/get /' "$scratch/keys" >"$scratch/gets"
sed 's/^put/set/' "$scratch/puts" >"$scratch/sets"
{
    echo 'PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;'
    echo 'CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;'
    sed "s/.*/INSERT OR REPLACE INTO kv VALUES ('&', 'value');/" "$scratch/keys"
} >"$scratch/inserts"
sed "s/.*/SELECT value FROM kv WHERE key = '&';/" "$scratch/keys" >"$scratch/selects"

# Each build has a store of its own, and of neither does the other find anything in a cache.
glibc() { "$kv" --store "$glibc_store" "$@"; }
musl() { "$kv_musl" --store "$musl_store" "$@"; }
glibc_puts() { glibc batch <"$scratch/puts" >"$scratch/replies"; }
glibc_gets() { glibc batch <"$scratch/gets" >"$scratch/replies"; }
glibc_ls() { glibc ls >"$scratch/listed"; }
musl_puts() { musl batch <"$scratch/puts" >"$scratch/replies"; }
musl_gets() { musl batch <"$scratch/gets" >"$scratch/replies"; }
musl_ls() { musl ls >"$scratch/listed"; }
sqlite_puts() { sqlite3 "$scratch/native" <"$scratch/inserts" >/dev/null; }
sqlite_gets() { sqlite3 "$scratch/native" <"$scratch/selects" >/dev/null; }
sqlite_ls() { sqlite3 "$scratch/native" 'SELECT key FROM kv ORDER BY key' >/dev/null; }
redis_puts() { redis-cli -p "$port" -n 1 <"$scratch/sets" >/dev/null; }
redis_gets() { redis-cli -p "$port" -n 1 <"$scratch/gets" >/dev/null; }
redis_ls() { redis-cli -p "$port" -n 1 --scan | LC_ALL=C sort >/dev/null; }

empty() {
    case $1 in
    redis) redis-cli -p "$port" flushall >/dev/null ;;
    *) rm -rf "$scratch"/store.* "$scratch"/native* ;;
    esac
    sync -f "$scratch"
}

builds=(glibc)
[ -z "$kv_musl" ] || builds+=(musl)

# measure ENGINE GLIBC-STORE MUSL-STORE NATIVE: the native client is that of the tree's nearest peer
# where it has none.
measure() {
    local engine=$1 glibc_store=$2 musl_store=$3 native=$4 round work who r
    rm -f "$scratch"/*.s
    for round in $(seq "$rounds"); do
        empty "$engine"
        for work in puts gets ls; do
            for who in $(turn "$round" "${builds[@]}" "$native"); do
                long "$who-$work" "${who}_$work"
                case $who-$work in
                "$native"-* | *-puts) continue ;;
                *-gets) [ "$(grep -c '^value$' "$scratch/replies")" = "$count" ] ;;
                *-ls) cmp "$scratch/listed" "$scratch/keys" ;;
                esac || die "$who: other $work on $engine than there are"
            done
        done
    done
    for work in puts gets ls; do
        for who in glibc musl; do
            if [ ! -s "$scratch/$who-$work.s" ]; then
                not_measured "$work, $engine, static, $who" "$goal"
                continue
            fi
            r=$(ratio "$scratch/$who-$work.s" "$scratch/$native-$work.s")
            case $engine in
            # The tree has no client but kv.
            tree) set -- - 'for comparison' ;;
            *) set -- "$goal" "$(verdict "$r <= 1.5")" ;;
            esac
            row "$work, $engine, static, $who, against $native" "$(ms "$who-$work")" \
                "$(ms "$native-$work")" "$r" "$@"
        done
    done
}

table "engines: $count keys, sync off"
if have sqlite3; then
    measure tree "$scratch/store.glibc" "$scratch/store.musl" sqlite
    measure sqlite "sqlite:$scratch/store.glibc" "sqlite:$scratch/store.musl" sqlite
else
    not_measured 'tree and sqlite' "$goal"
fi
if have redis-server redis-cli; then
    redis-server --port "$port" --bind 127.0.0.1 --save '' --daemonize yes >/dev/null
    trap 'redis-cli -p "$port" shutdown nosave 2>/dev/null || true' EXIT
    until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.05; done
    measure redis "redis://127.0.0.1:$port/0?replicas=0" "redis://127.0.0.1:$port/2?replicas=0" redis
else
    not_measured redis "$goal"
fi
note "Medians of $rounds rounds; puts and gets are commands that one process reads (\`kv batch\`," \
    '`sqlite3 <FILE`, `redis-cli <FILE`), each of them a change of its own. `redis-cli` lists by SCAN,' \
    'and sort(1) puts that in order.'
