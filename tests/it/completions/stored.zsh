# Completes what is in the store, keys and namespaces, and the fixed words that some arguments are.
# Options, commands and files are left to the function further down.

_kv_stored() {
    local command kind lead bare store space item pending verbatim expl
    local -a answers
    local -i place=1
    for item in "${(@Q)words[2,CURRENT-1]}"; do
        if [[ -n $pending ]]; then
            _kv_scope "$pending" "$item"
            pending=''
            continue
        fi
        case $verbatim$item in
            (--) verbatim=1 ;;
            (--*=*)
                _kv_kind "$command ${item%%=*}"
                _kv_scope "$kind" "${item#*=}"
                ;;
            (--*|-[^0-9.])
                _kv_kind "$command $item"
                pending=$kind
                ;;
            (-[^0-9.]?*)
                _kv_kind "$command ${item[1,2]}"
                item=${item[3,-1]}
                _kv_scope "$kind" "${item#=}"
                ;;
            (-0) ;;
            (*)
                [[ -z $command ]] || (( place += 1 ))
                command=${command:-$item}
                ;;
        esac
    done

    # What has been typed, without its quotes; one may be open. The lead of it, such as `--from=`,
    # is no part of the value. Where a value stands bare, a dash begins an option.
    local typed=${(Q)${:-$compstate[quote]$PREFIX$compstate[quote]}}
    kind=''
    case ${pending:+pending}/$verbatim$typed in
        (pending/*)
            kind=$pending
            bare=1
            ;;
        (/--*=*)
            lead=${typed%%=*}=
            _kv_kind "$command ${lead%=}"
            ;;
        (/-[^-]?*)
            lead=${typed[1,2]}
            _kv_kind "$command $lead"
            [[ $typed != "$lead="* ]] || lead+='='
            ;;
        (/-*) ;;
        (*)
            [[ -n $verbatim ]] || bare=1
            [[ -z $verbatim ]] || _kv_kind "$command --"
            [[ -n $kind ]] || _kv_kind "$command $place"
            [[ -n $kind ]] || _kv_kind "$command +"
            ;;
    esac

    local text=${typed[${#lead}+1,-1]}
    case $kind in
        (key)
            _kv_ask ls -0 "--prefix=$text" --limit 200
            # The last key shows how far all of them agree, however many are left out.
            (( $#answers < 200 )) || _kv_ask ls -0 "--prefix=$text" --reverse --limit 1
            ;;
        (namespace) _kv_ask namespaces -0 ;;
        ('one of '*) answers=(${=kind#one of }) ;;
        (*) return 1 ;;
    esac
    answers=(${answers:#*$'\n'*})
    [[ -z $bare ]] || answers=(${answers:#-*})
    [[ -z $lead ]] || compset -p $#lead
    kind=${kind/#one of */word}
    _wanted ${kind}s expl $kind compadd -a answers
    return 0
}

_kv_scope() {
    case $1 in
        (store) store=${2/#\~\//$HOME/} ;;
        (namespace) space=$2 ;;
    esac
}

# Adds what kv prints, NUL behind each, to `answers`: the kv that the line runs.
_kv_ask() {
    local program=${(Q)words[1]}
    [[ $program == */* ]] || program=kv
    program=${program/#\~\//$HOME/}
    set -- ${store:+--store=$store} ${space:+--namespace=$space} "$@"
    answers+=(${(0)"$(command $program "$@" 2>/dev/null)"})
}

_kv_nothing() {
    return 1
}
