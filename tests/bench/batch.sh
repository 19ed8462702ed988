# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# Many commands in one process, against a process each, and against redis-cli.

export KV_SYNC=off
count=20000
loop=500
rounds=${KV_BENCH_ROUNDS:-7}
port=$((20000 + RANDOM % 20000))

for i in $(seq "$count"); do
    echo "put key$i value$i"
done >"$scratch/puts"
sed 's/^put \([^ ]*\) .*/get \1/' "$scratch/puts" >"$scratch/gets"
sed 's/^put [^ ]* //' "$scratch/puts" >"$scratch/values"
sed 's/^put/set/' "$scratch/puts" >"$scratch/sets"

kv_puts() { "$binary" batch <"$scratch/puts" >/dev/null; }
kv_gets() { "$binary" batch <"$scratch/gets" >/dev/null; }
# One process a put, as a script without `batch` does it.
loop_puts() {
    dash -c 'i=0; while [ $((i += 1)) -le "$2" ]; do "$1" put key$i value$i; done' - "$binary" "$loop"
}
redis_gets() { redis-cli -p "$port" <"$scratch/gets" >/dev/null; }

# A new store, and what was written before is on the disk. The stores before stay until the end: a
# file system that has thousands of files to forget is slower to make others.
stores=0
fresh() {
    export KV_STORE=$scratch/store.$((stores += 1))
    sync -f "$scratch"
}

puts() {
    local binary=$2 goal='at least 20× the puts a second'
    if [ -z "$2" ] || ! have dash; then
        not_measured "puts, $1" "$goal"
        return
    fi
    rm -f "$scratch"/*.s
    local round what each
    for round in $(seq "$rounds"); do
        # Who is first takes turns.
        for what in $(turn "$round" kv loop); do
            fresh
            long "$what" "${what}_puts"
        done
    done
    each=$(ratio "$scratch/loop.s" "$scratch/kv.s")
    each=$(calc "$each * $count / $loop")
    row "puts, $1, against a loop of \`kv put\`" \
        "$(calc "$count / $(median <"$scratch/kv.s")" '%.0f/s')" \
        "$(calc "$loop / $(median <"$scratch/loop.s")" '%.0f/s')" "$each" "$goal" \
        "$(verdict "$each >= 20")"
}

gets() {
    local binary=$2 goal='within 2× of redis-cli' r
    if [ -z "$2" ] || ! have redis-server redis-cli; then
        not_measured "gets, $1" "$goal"
        return
    fi
    rm -f "$scratch"/*.s
    fresh
    kv_puts
    for _ in $(seq "$rounds"); do
        long kv kv_gets
        long redis redis_gets
    done
    "$binary" batch <"$scratch/gets" | sed -n '2~2p' | cmp - "$scratch/values" ||
        die "batch prints other values"
    r=$(ratio "$scratch/kv.s" "$scratch/redis.s")
    row "$count gets, $1, against \`redis-cli < gets\`" "$(ms kv)" "$(ms redis)" "$r" "$goal" \
        "$(verdict "$r <= 2")"
}

if have redis-server redis-cli; then
    redis-server --port "$port" --bind 127.0.0.1 --save '' --daemonize yes >/dev/null
    trap 'redis-cli -p "$port" shutdown nosave 2>/dev/null || true' EXIT
    until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.05; done
    redis-cli -p "$port" <"$scratch/sets" >/dev/null
fi

table 'batch: commands in one process, sync off'
puts 'static, glibc' "$kv"
puts 'static, musl' "$kv_musl"
gets 'static, glibc' "$kv"
gets 'static, musl' "$kv_musl"
note "Medians of $rounds rounds. Every measurement of puts begins with no store, beside those of the" \
    'rounds before. redis-cli reads the same commands from its standard input and asks a server' \
    'on this machine, one after the other.'
