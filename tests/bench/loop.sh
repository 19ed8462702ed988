# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# What a script feels: 500 puts and 500 gets in a loop of dash, against shell functions that keep a
# key and a value in two files named by the key's SHA-1, and against the sqlite3 shell.

keys=500
rounds=${KV_BENCH_ROUNDS:-7}
last_round=0

# A script that begins with the lines on standard input, and does the last argument for each key.
script() {
    {
        echo 'set -eu'
        cat
        echo "i=0; while [ \$i -lt $keys ]; do i=\$((i + 1)); $2; done"
    } >"$scratch/$1.sh"
}

script kv-put '"$KV" put "user:$i:name" "value of the user $i"' </dev/null
script kv-get '"$KV" get "user:$i:name"' </dev/null

functions='put() {
    name=$(printf %s "$1" | sha1sum)
    name=${name%% *}
    printf %s "$1" > "$DIR/$name.key"
    printf %s "$2" > "$DIR/$name.value"
}
get() {
    name=$(printf %s "$1" | sha1sum)
    name=${name%% *}
    cat "$DIR/$name.value"
}'
script sh-put 'put "user:$i:name" "value of the user $i"' <<<"$functions"
script sh-get 'get "user:$i:name"' <<<"$functions"

script sqlite-put 'sqlite3 "$DB" "PRAGMA synchronous=OFF; INSERT OR REPLACE INTO kv VALUES ('"'user:\$i:name', 'value of the user \$i'"')"' </dev/null
script sqlite-get 'sqlite3 "$DB" "SELECT value FROM kv WHERE key = '"'user:\$i:name'"'"' </dev/null

# The same once more, when the keys are present.
for peer in kv sh sqlite; do
    cp "$scratch/$peer-put.sh" "$scratch/$peer-again.sh"
done

# One round begins with nothing: no store, an empty directory, an empty table. Those of the round
# before stay: ext4 is slow to create files while it has others to forget.
fresh() {
    round=$scratch/round.$((++last_round))
    mkdir -p "$round/dir"
    if [ -n "$sqlite" ]; then
        sqlite3 "$round/db" 'PRAGMA journal_mode=WAL; CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID' >/dev/null
    fi
}

loop() {
    KV=$binary KV_STORE=$round/store KV_SYNC=off DIR=$round/dir DB=$round/db \
        long "$1" dash "$scratch/$1.sh" >"$scratch/$1.out"
}

compare() {
    local binary=$2 verb peer round i
    if [ -z "$2" ] || ! have dash; then
        not_measured "put and get, $1" 'at least 2× the shell functions'
        return
    fi
    rm -f "$scratch"/*.s
    for i in $(seq "$rounds"); do
        fresh
        for verb in put again get; do
            # Who is first takes turns.
            for peer in $(order $((i % 3))); do
                loop "$peer-$verb"
            done
        done
    done
    # The value has no newline, and sqlite3 prints one.
    cmp "$scratch/kv-get.out" "$scratch/sh-get.out" || die "the two loops print different values"
    report put sh 2 "put of new keys, $1, against the shell functions"
    report again sh 2 "put over them, $1, against the shell functions"
    report get sh 2 "get, $1, against the shell functions"
    report put sqlite 2 "put of new keys, $1, against sqlite3"
    report again sqlite 2 "put over them, $1, against sqlite3"
    report get sqlite 1.3 "get, $1, against sqlite3"
}

order() {
    case $1 in
    0) echo kv sh $sqlite ;;
    1) echo sh $sqlite kv ;;
    2) echo $sqlite kv sh ;;
    esac
}

report() {
    local r goal="at least $3× the speed"
    if [ ! -f "$scratch/$2-$1.s" ]; then
        not_measured "$4" "$goal"
        return
    fi
    r=$(ratio "$scratch/$2-$1.s" "$scratch/kv-$1.s")
    row "$4" "$(ms "kv-$1")" "$(ms "$2-$1")" "$r" "$goal" "$(verdict "$r >= $3")"
}

sqlite=
if have sqlite3; then
    sqlite=sqlite
fi
table "loop: $keys keys in a loop of dash, sync off; the ratio is how many times faster kv is"
compare 'static, glibc' "$kv"
compare 'static, musl' "$kv_musl"
note "Each of $rounds rounds begins with no store, so that kv makes its store and the directories and" \
    'locks of its shards as it goes; medians. The shell functions: `printf %s "$key" | sha1sum`, then' \
    'one file for the key and one for the value; they check nothing. sqlite3: a table with a primary' \
    'key WITHOUT ROWID, `INSERT OR REPLACE` with `synchronous=OFF` and a write-ahead log.'
