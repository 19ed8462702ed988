# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; the scripts expand their own.
# The builtin of bash against the program, in the same loops of the same shell.

calls=500
rounds=${KV_BENCH_ROUNDS:-7}
# The builtin does so many times as much, so that both take long enough to be measured.
more=40

# script NAME CALLS BODY: does BODY so often, with the builtin if the name begins with `in`.
script() {
    {
        echo 'set -eu'
        [ "${1#in}" = "$1" ] || echo 'enable -f "$KV_SO" kv'
        echo "for ((i = 0; i < $2; i++)); do $3; done"
    } >"$scratch/$1.sh"
}

compare() {
    local what=$1 body=$2 more=$3 bar=$4 r
    script program "$calls" "${body//KV/\"\$KV_BIN\"}"
    script inside $((calls * more)) "${body//KV/kv}"
    rm -f "$scratch"/*.s
    for _ in $(seq "$rounds"); do
        for who in program inside; do
            KV_BIN=$kv KV_SO=$so KV_STORE=$scratch/store KV_SYNC=off \
                long "$who" bash --norc "$scratch/$who.sh" >"$scratch/$who.out"
        done
    done
    r=$(calc "$(median <"$scratch/inside.s") / $more / $(median <"$scratch/program.s")" %.4f)
    row "$what" "$(micros inside $((calls * more)))" "$(micros program "$calls")" "$r" \
        "at most $bar of the program's time" "$(verdict "$r <= $bar")"
}

# micros NAME CALLS
micros() { calc "1000000 * $(median <"$scratch/$1.s") / $2" '%.1f µs'; }

so=$PWD/$("$here/../builtin" --release) || die 'kv.so could not be built'
"$kv" --store "$scratch/store" put key 'a value as many are'
table "bash: a call in a loop, sync off; the builtin is kv.so, the peer the program"
compare 'kv get' 'KV get key' "$more" 0.025
compare 'kv put' 'KV put key "value $i"' 8 0.125
compare 'x=$(kv get)' 'x=$(KV get key)' 2 0.5
# The program has no such option.
script program "$calls" 'x=$("$KV_BIN" get key)'
script inside $((calls * more)) 'kv get -v x key'
rm -f "$scratch"/*.s
for _ in $(seq "$rounds"); do
    for who in program inside; do
        KV_BIN=$kv KV_SO=$so KV_STORE=$scratch/store long "$who" bash --norc "$scratch/$who.sh"
    done
done
r=$(calc "$(median <"$scratch/inside.s") / $more / $(median <"$scratch/program.s")" %.4f)
row 'kv get -v x, against x=$(kv get)' "$(micros inside $((calls * more)))" "$(micros program "$calls")" \
    "$r" '' ''
note "Medians of $rounds rounds, each of $calls calls of the program and more of the builtin."
