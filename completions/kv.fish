# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kv_global_optspecs
    string join \n s/store= n/namespace= sync= busy-timeout= existing token-file= h/help V/version
end

function __fish_kv_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kv_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kv_using_subcommand
    set -l cmd (__fish_kv_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kv -n "__fish_kv_needs_command" -s s -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_needs_command" -s n -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_needs_command" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_needs_command" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_needs_command" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_needs_command" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_needs_command" -s V -l version -d 'Print version'
complete -c kv -n "__fish_kv_needs_command" -f -a "put" -d 'Store a value under a key'
complete -c kv -n "__fish_kv_needs_command" -f -a "get" -d 'Print the value of a key'
complete -c kv -n "__fish_kv_needs_command" -f -a "remove" -d 'Remove keys'
complete -c kv -n "__fish_kv_needs_command" -f -a "rm" -d 'Remove keys'
complete -c kv -n "__fish_kv_needs_command" -f -a "rename" -d 'Give a key another name'
complete -c kv -n "__fish_kv_needs_command" -f -a "copy" -d 'Copy what a key holds to another'
complete -c kv -n "__fish_kv_needs_command" -f -a "ls" -d 'List keys'
complete -c kv -n "__fish_kv_needs_command" -f -a "has" -d 'Test whether a key exists'
complete -c kv -n "__fish_kv_needs_command" -f -a "stat" -d 'Print what is known about a key'
complete -c kv -n "__fish_kv_needs_command" -f -a "expire" -d 'Set when a key expires'
complete -c kv -n "__fish_kv_needs_command" -f -a "ttl" -d 'Print how long a key has to live'
complete -c kv -n "__fish_kv_needs_command" -f -a "incr" -d 'Add to a number'
complete -c kv -n "__fish_kv_needs_command" -f -a "append" -d 'Add to the end of a value'
complete -c kv -n "__fish_kv_needs_command" -f -a "push" -d 'Add elements to the end of a list'
complete -c kv -n "__fish_kv_needs_command" -f -a "pop" -d 'Take an element from a list, or work on it'
complete -c kv -n "__fish_kv_needs_command" -f -a "items" -d 'Print the elements of a list'
complete -c kv -n "__fish_kv_needs_command" -f -a "update" -d 'Change a value by a program'
complete -c kv -n "__fish_kv_needs_command" -f -a "edit" -d 'Change a value in an editor'
complete -c kv -n "__fish_kv_needs_command" -f -a "lock" -d 'Run a program while holding a lock'
complete -c kv -n "__fish_kv_needs_command" -f -a "memo" -d 'Run a program once and replay what it printed'
complete -c kv -n "__fish_kv_needs_command" -f -a "wait" -d 'Wait until a key is there, gone or changed'
complete -c kv -n "__fish_kv_needs_command" -f -a "watch" -d 'Follow changes, or run a program for each'
complete -c kv -n "__fish_kv_needs_command" -f -a "batch" -d 'Carry out commands from standard input'
complete -c kv -n "__fish_kv_needs_command" -f -a "import" -d 'Store entries from standard input'
complete -c kv -n "__fish_kv_needs_command" -f -a "export" -d 'Print entries for `kv import`'
complete -c kv -n "__fish_kv_needs_command" -f -a "gc" -d 'Keep a store small'
complete -c kv -n "__fish_kv_needs_command" -f -a "fsck" -d 'Check a store, and repair it'
complete -c kv -n "__fish_kv_needs_command" -f -a "info" -d 'Print what is known of a store'
complete -c kv -n "__fish_kv_needs_command" -f -a "serve" -d 'Serve a store over HTTP'
complete -c kv -n "__fish_kv_needs_command" -f -a "mount" -d 'Mount a store as a file system'
complete -c kv -n "__fish_kv_needs_command" -f -a "namespaces" -d 'List the namespaces, or remove one'
complete -c kv -n "__fish_kv_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c kv -n "__fish_kv_needs_command" -f -a "init" -d 'Print what a shell reads once to work well with kv'
complete -c kv -n "__fish_kv_needs_command" -f -a "help" -d 'Print help, for kv or for one command'
complete -c kv -n "__fish_kv_using_subcommand put" -l file -d 'Read the value from PATH; `-` is standard input, whatever it is' -r -F
complete -c kv -n "__fish_kv_using_subcommand put" -l ttl -d 'Let the key expire after this long, such as 90s, 1h30m or 7d' -r -f
complete -c kv -n "__fish_kv_using_subcommand put" -l if-value -d 'Store only if the key holds exactly this value; else status 1' -r -f
complete -c kv -n "__fish_kv_using_subcommand put" -l if-etag -d 'Store only if the key\'s entry has this etag; else status 1' -r -f
complete -c kv -n "__fish_kv_using_subcommand put" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand put" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand put" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand put" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand put" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand put" -l keep-ttl -d 'Keep the expiry that the key has'
complete -c kv -n "__fish_kv_using_subcommand put" -l if-absent -d 'Store only if there is no such key; else status 1'
complete -c kv -n "__fish_kv_using_subcommand put" -l if-exists -d 'Store only if there is such a key; else status 1'
complete -c kv -n "__fish_kv_using_subcommand put" -l print-etag -d 'Print the etag of the new entry'
complete -c kv -n "__fish_kv_using_subcommand put" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand put" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand get" -l default -d 'Print TEXT instead, and succeed, if there is no such key' -r -f
complete -c kv -n "__fish_kv_using_subcommand get" -s v -d 'In bash, with the builtin of `kv init bash`: set the variable VAR instead of printing' -r -f
complete -c kv -n "__fish_kv_using_subcommand get" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand get" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand get" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand get" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand get" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand get" -l remove -d 'Remove the key in the same atomic step: of several takers, one gets the value'
complete -c kv -n "__fish_kv_using_subcommand get" -l json -d 'Print one JSON object, as `kv ls --json --values` does'
complete -c kv -n "__fish_kv_using_subcommand get" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand remove" -l if-value -d 'Remove only if the key holds exactly this value; else status 1' -r -f
complete -c kv -n "__fish_kv_using_subcommand remove" -l if-etag -d 'Remove only if the key\'s entry has this etag; else status 1' -r -f
complete -c kv -n "__fish_kv_using_subcommand remove" -l glob -d 'Remove all keys that match PATTERN, as `kv ls PATTERN` lists them' -r -f
complete -c kv -n "__fish_kv_using_subcommand remove" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand remove" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand remove" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand remove" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand remove" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand remove" -s f -l force -d 'Succeed for keys that are absent'
complete -c kv -n "__fish_kv_using_subcommand remove" -l stdin -d 'Read the keys from standard input, one a line'
complete -c kv -n "__fish_kv_using_subcommand remove" -s 0 -l null -d 'With --stdin or --glob: end each key that is read or printed with NUL instead of a newline'
complete -c kv -n "__fish_kv_using_subcommand remove" -l dry-run -d 'Remove nothing; print the keys that would go'
complete -c kv -n "__fish_kv_using_subcommand remove" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand rm" -l if-value -d 'Remove only if the key holds exactly this value; else status 1' -r -f
complete -c kv -n "__fish_kv_using_subcommand rm" -l if-etag -d 'Remove only if the key\'s entry has this etag; else status 1' -r -f
complete -c kv -n "__fish_kv_using_subcommand rm" -l glob -d 'Remove all keys that match PATTERN, as `kv ls PATTERN` lists them' -r -f
complete -c kv -n "__fish_kv_using_subcommand rm" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand rm" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand rm" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand rm" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand rm" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand rm" -s f -l force -d 'Succeed for keys that are absent'
complete -c kv -n "__fish_kv_using_subcommand rm" -l stdin -d 'Read the keys from standard input, one a line'
complete -c kv -n "__fish_kv_using_subcommand rm" -s 0 -l null -d 'With --stdin or --glob: end each key that is read or printed with NUL instead of a newline'
complete -c kv -n "__fish_kv_using_subcommand rm" -l dry-run -d 'Remove nothing; print the keys that would go'
complete -c kv -n "__fish_kv_using_subcommand rm" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand rename" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand rename" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand rename" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand rename" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand rename" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand rename" -l if-absent -d 'Only if there is no key NEW; else status 1'
complete -c kv -n "__fish_kv_using_subcommand rename" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand rename" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand copy" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand copy" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand copy" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand copy" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand copy" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand copy" -l if-absent -d 'Only if there is no key NEW; else status 1'
complete -c kv -n "__fish_kv_using_subcommand copy" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand copy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand ls" -l prefix -d 'List keys that begin with PREFIX' -r -f
complete -c kv -n "__fish_kv_using_subcommand ls" -l from -d 'List keys from KEY on, this one included' -r -f
complete -c kv -n "__fish_kv_using_subcommand ls" -l to -d 'List keys before KEY, this one not included' -r -f
complete -c kv -n "__fish_kv_using_subcommand ls" -l limit -d 'List at most N keys' -r -f
complete -c kv -n "__fish_kv_using_subcommand ls" -s v -d 'In bash, with the builtin of `kv init bash`: set the variable VAR instead of printing' -r -f
complete -c kv -n "__fish_kv_using_subcommand ls" -l color -d 'Whether headings have a colour; auto heeds NO_COLOR and CLICOLOR_FORCE' -r -f -a "auto\t'Where nothing speaks against it'
always\t'Always'
never\t'Never'"
complete -c kv -n "__fish_kv_using_subcommand ls" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand ls" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand ls" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand ls" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand ls" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand ls" -s 0 -l null -d 'End each line, or each key and value, with NUL instead'
complete -c kv -n "__fish_kv_using_subcommand ls" -s l -l long -d 'Print etag, bytes, modified, expires and key, with tabs between them or, at a terminal, in columns'
complete -c kv -n "__fish_kv_using_subcommand ls" -l json -d 'Print one JSON object a line'
complete -c kv -n "__fish_kv_using_subcommand ls" -l values -d 'Print each key, a tab and its value'
complete -c kv -n "__fish_kv_using_subcommand ls" -l reverse -d 'List the last key first'
complete -c kv -n "__fish_kv_using_subcommand ls" -l count -d 'Print only how many keys there are'
complete -c kv -n "__fish_kv_using_subcommand ls" -l wide -d 'Cut no line to the width of the terminal'
complete -c kv -n "__fish_kv_using_subcommand ls" -l no-pager -d 'Use no pager, even for more than a screenful'
complete -c kv -n "__fish_kv_using_subcommand ls" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand has" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand has" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand has" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand has" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand has" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand has" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand has" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand stat" -l field -d 'Print only the value of this field' -r -f -a "key\t'The key'
namespace\t'The namespace it is in'
size\t'Bytes of its value'
modified\t'When its value was written'
expires\t'When it expires, or `never`'
etag\t'Names the write that made the entry: 16 hexadecimal digits'"
complete -c kv -n "__fish_kv_using_subcommand stat" -s v -d 'In bash, with the builtin of `kv init bash`: set the variable VAR instead of printing' -r -f
complete -c kv -n "__fish_kv_using_subcommand stat" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand stat" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand stat" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand stat" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand stat" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand stat" -l json -d 'Print one JSON object'
complete -c kv -n "__fish_kv_using_subcommand stat" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand expire" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand expire" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand expire" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand expire" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand expire" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand expire" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand expire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand ttl" -s v -d 'In bash, with the builtin of `kv init bash`: set the variable VAR instead of printing' -r -f
complete -c kv -n "__fish_kv_using_subcommand ttl" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand ttl" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand ttl" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand ttl" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand ttl" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand ttl" -l json -d 'Print one JSON object'
complete -c kv -n "__fish_kv_using_subcommand ttl" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand ttl" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand incr" -l by -d 'Add N, which may be negative' -r
complete -c kv -n "__fish_kv_using_subcommand incr" -l ttl -d 'If this makes the key, let it expire after this long; else its expiry stays' -r
complete -c kv -n "__fish_kv_using_subcommand incr" -s v -d 'In bash, with the builtin of `kv init bash`: set the variable VAR instead of printing' -r -f
complete -c kv -n "__fish_kv_using_subcommand incr" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand incr" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand incr" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand incr" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand incr" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand incr" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand incr" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand append" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand append" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand append" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand append" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand append" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand append" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand append" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand push" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand push" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand push" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand push" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand push" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand push" -l lines -d 'Add each line of standard input, without its newline, as an element'
complete -c kv -n "__fish_kv_using_subcommand push" -s 0 -l null -d 'Add each record of standard input that ends with NUL, without it, as an element'
complete -c kv -n "__fish_kv_using_subcommand push" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand pop" -l wait -d 'If there is nothing to take, wait for at most this long for an element' -r
complete -c kv -n "__fish_kv_using_subcommand pop" -l attempts -d 'Move an element on which CMD has failed N times to the list LIST.failed' -r
complete -c kv -n "__fish_kv_using_subcommand pop" -s v -d 'In bash, with the builtin of `kv init bash`: set the variable VAR instead of printing' -r -f
complete -c kv -n "__fish_kv_using_subcommand pop" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand pop" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand pop" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand pop" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand pop" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand pop" -l last -d 'Take the newest element instead of the oldest'
complete -c kv -n "__fish_kv_using_subcommand pop" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand pop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand items" -l color -d 'Whether headings have a colour; auto heeds NO_COLOR and CLICOLOR_FORCE' -r -f -a "auto\t'Where nothing speaks against it'
always\t'Always'
never\t'Never'"
complete -c kv -n "__fish_kv_using_subcommand items" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand items" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand items" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand items" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand items" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand items" -s 0 -l null -d 'End each element with NUL instead of a newline'
complete -c kv -n "__fish_kv_using_subcommand items" -l json -d 'Print one JSON object a line, as `kv ls --json --values` does'
complete -c kv -n "__fish_kv_using_subcommand items" -l long -d 'Print of each element, TAB-separated: size, time, attempts, since when who works on it, and its key'
complete -c kv -n "__fish_kv_using_subcommand items" -l wide -d 'Cut no line to the width of the terminal'
complete -c kv -n "__fish_kv_using_subcommand items" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand items" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand update" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand update" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand update" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand update" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand update" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand update" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand update" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand edit" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand edit" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand edit" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand edit" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand edit" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand edit" -l hex -d 'Show the bytes as hexadecimal digits, for a value that is no text'
complete -c kv -n "__fish_kv_using_subcommand edit" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand edit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand lock" -l wait -d 'Wait for at most this long; then status 124' -r
complete -c kv -n "__fish_kv_using_subcommand lock" -l on-loss -d 'What becomes of CMD when the lock is lost; the status is 125 then' -r -f -a "term\t'It is sent TERM (the default)'
ignore\t'It goes on'"
complete -c kv -n "__fish_kv_using_subcommand lock" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand lock" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand lock" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand lock" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand lock" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand lock" -l no-wait -d 'Do not wait: if the lock is taken, end with status 124 at once and in silence'
complete -c kv -n "__fish_kv_using_subcommand lock" -l shared -d 'Share the lock with others who ask for that'
complete -c kv -n "__fish_kv_using_subcommand lock" -l inherit -d 'Let CMD and all that it starts hold the lock too: it is free when the last of them is gone'
complete -c kv -n "__fish_kv_using_subcommand lock" -l show -d 'Run nothing; print who holds the lock, or end with status 1 if nobody does'
complete -c kv -n "__fish_kv_using_subcommand lock" -l json -d 'With --show: print one JSON object'
complete -c kv -n "__fish_kv_using_subcommand lock" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand lock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand memo" -l ttl -d 'Remember the run for this long' -r
complete -c kv -n "__fish_kv_using_subcommand memo" -l stale -d 'Answer at once with a result that is older than this, and refresh it in the background' -r
complete -c kv -n "__fish_kv_using_subcommand memo" -l env -d 'Make the value of the variable NAME a part of the key, as a digest' -r
complete -c kv -n "__fish_kv_using_subcommand memo" -l modtime -d 'Make the time when FILE was modified a part of the key' -r -F
complete -c kv -n "__fish_kv_using_subcommand memo" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand memo" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand memo" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand memo" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand memo" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand memo" -l cwd -d 'Make the working directory a part of the key'
complete -c kv -n "__fish_kv_using_subcommand memo" -l keep-failures -d 'Remember runs that fail, too'
complete -c kv -n "__fish_kv_using_subcommand memo" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand memo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand wait" -l timeout -d 'Wait for at most this long; then status 1' -r
complete -c kv -n "__fish_kv_using_subcommand wait" -l changed -d 'Wait until the key\'s entry has another etag than this one, or is gone' -r -f
complete -c kv -n "__fish_kv_using_subcommand wait" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand wait" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand wait" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand wait" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand wait" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand wait" -l gone -d 'Wait until there is no such key'
complete -c kv -n "__fish_kv_using_subcommand wait" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand watch" -l prefix -d 'Tell changes of keys that begin with PREFIX' -r -f
complete -c kv -n "__fish_kv_using_subcommand watch" -l since -d 'Begin with what has changed since `kv ls -l` printed FILE, and with -0 `kv ls -l -0`; `-` is standard input' -r -F
complete -c kv -n "__fish_kv_using_subcommand watch" -l settle -d 'Tell changes when none has come for this long, or for ten times as long at the latest' -r
complete -c kv -n "__fish_kv_using_subcommand watch" -l timeout -d 'End after this long, with status 1 if nothing was told' -r
complete -c kv -n "__fish_kv_using_subcommand watch" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand watch" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand watch" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand watch" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand watch" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand watch" -s 0 -l null -d 'End each line, or each change and value, with NUL instead'
complete -c kv -n "__fish_kv_using_subcommand watch" -l json -d 'Print one JSON object a line'
complete -c kv -n "__fish_kv_using_subcommand watch" -l values -d 'Print each value too'
complete -c kv -n "__fish_kv_using_subcommand watch" -l now -d 'Begin with what is there'
complete -c kv -n "__fish_kv_using_subcommand watch" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand batch" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand batch" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand batch" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand batch" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand batch" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand batch" -l json -d 'Take each command as a JSON array of strings, or of `{"base64": …}` for other bytes'
complete -c kv -n "__fish_kv_using_subcommand batch" -l stop -d 'End at the first command with a status of 2 or more'
complete -c kv -n "__fish_kv_using_subcommand batch" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand batch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand import" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand import" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand import" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand import" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand import" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand import" -l tsv -d 'Take each line as a key, a tab and a value, with `\\t`, `\\n` and `\\\\` in either'
complete -c kv -n "__fish_kv_using_subcommand import" -l crlf -d 'With --tsv: take the carriage return off the end of each line, as Windows writes them'
complete -c kv -n "__fish_kv_using_subcommand import" -l if-absent -d 'Leave keys as they are that hold something'
complete -c kv -n "__fish_kv_using_subcommand import" -l merge -d 'Of an entry that is there and an imported one, keep the one modified later'
complete -c kv -n "__fish_kv_using_subcommand import" -l replace -d 'Remove every key of the namespace that is not imported'
complete -c kv -n "__fish_kv_using_subcommand import" -l dry-run -d 'Import nothing; print the keys whose entry would be replaced or removed'
complete -c kv -n "__fish_kv_using_subcommand import" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand export" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand export" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand export" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand export" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand export" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand export" -l all -d 'Export all namespaces, lists too, and name each entry\'s'
complete -c kv -n "__fish_kv_using_subcommand export" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand gc" -l evict-older-than -d 'Remove entries that were written longer ago than this' -r -f
complete -c kv -n "__fish_kv_using_subcommand gc" -l max-entries -d 'Remove the entries written first until at most N are left' -r -f
complete -c kv -n "__fish_kv_using_subcommand gc" -l max-size -d 'Remove the entries written first until keys and values take at most SIZE' -r -f
complete -c kv -n "__fish_kv_using_subcommand gc" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand gc" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand gc" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand gc" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand gc" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand gc" -l now -d 'Pack what was written within the last hour, too'
complete -c kv -n "__fish_kv_using_subcommand gc" -l dry-run -d 'Change nothing; print the keys that would be evicted'
complete -c kv -n "__fish_kv_using_subcommand gc" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand fsck" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand fsck" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand fsck" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand fsck" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand fsck" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand fsck" -l repair -d 'Repair what is damaged; delete nothing'
complete -c kv -n "__fish_kv_using_subcommand fsck" -l dry-run -d 'With --repair: change nothing; print what would be done'
complete -c kv -n "__fish_kv_using_subcommand fsck" -l json -d 'Print one JSON object a line'
complete -c kv -n "__fish_kv_using_subcommand fsck" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand fsck" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand info" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand info" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand info" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand info" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand info" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand info" -l json -d 'Print one JSON object a line, for each namespace'
complete -c kv -n "__fish_kv_using_subcommand info" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand serve" -l listen -d 'Listen on ADDR:PORT or on unix:PATH' -r -f
complete -c kv -n "__fish_kv_using_subcommand serve" -l host -d 'Answer to NAME too, besides the address and `localhost`; may be given more than once' -r -f -a "(__fish_print_hostnames)"
complete -c kv -n "__fish_kv_using_subcommand serve" -l max-value -d 'Take values of at most SIZE' -r -f
complete -c kv -n "__fish_kv_using_subcommand serve" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand serve" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand serve" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand serve" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand serve" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand serve" -l read-only -d 'Let nobody change anything'
complete -c kv -n "__fish_kv_using_subcommand serve" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand mount" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand mount" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand mount" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand mount" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand mount" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand mount" -l foreground -d 'Stay in the foreground, and end when it is unmounted'
complete -c kv -n "__fish_kv_using_subcommand mount" -l over -d 'Mount also on a directory that is not empty, or on another mount, and hide what is there'
complete -c kv -n "__fish_kv_using_subcommand mount" -l read-only -d 'Let nobody change anything'
complete -c kv -n "__fish_kv_using_subcommand mount" -l no-exec -d 'Let nobody run a program from it'
complete -c kv -n "__fish_kv_using_subcommand mount" -l synchronous -d 'Store each write before it returns, as `sync` of mount(8) says it'
complete -c kv -n "__fish_kv_using_subcommand mount" -l allow-other -d 'Let other users of this machine in: all of them can do all that you can'
complete -c kv -n "__fish_kv_using_subcommand mount" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand mount" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l remove -d 'Remove the namespace NAME with all its keys' -r -f
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l color -d 'Whether headings have a colour; auto heeds NO_COLOR and CLICOLOR_FORCE' -r -f -a "auto\t'Where nothing speaks against it'
always\t'Always'
never\t'Never'"
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand namespaces" -s 0 -l null -d 'End each name with NUL instead of a newline'
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l json -d 'Print one JSON object a line'
complete -c kv -n "__fish_kv_using_subcommand namespaces" -s l -l long -d 'Print entries, bytes and name, with tabs between them or, at a terminal, in columns'
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l dry-run -d 'With --remove: remove nothing; print the keys that would go'
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l wide -d 'Cut no line to the width of the terminal'
complete -c kv -n "__fish_kv_using_subcommand namespaces" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand namespaces" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand completions" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand completions" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand completions" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand completions" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand completions" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand completions" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand init" -l store -d 'Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST [default: $KV_STORE, or ~/.local/share/kv]' -r -f -a "(__fish_complete_directories)"
complete -c kv -n "__fish_kv_using_subcommand init" -l namespace -d 'Namespace to use [default: $KV_NAMESPACE, or default]' -r -f
complete -c kv -n "__fish_kv_using_subcommand init" -l sync -d 'What a write survives once it has succeeded [default: $KV_SYNC, or full]' -r -f -a "full\t'A power cut'
off\t'The death of any process, kv itself too, but not a power cut'"
complete -c kv -n "__fish_kv_using_subcommand init" -l busy-timeout -d 'How long to wait for the store\'s own locks [default: $KV_BUSY_TIMEOUT, or 10s]' -r -f
complete -c kv -n "__fish_kv_using_subcommand init" -l token-file -d 'The first line of FILE is the token: of the service that the store is behind [default: $KV_TOKEN], or with serve the one that its clients need' -r -F
complete -c kv -n "__fish_kv_using_subcommand init" -l existing -d 'Fail where the store does not exist, and never make it [default: $KV_EXISTING]'
complete -c kv -n "__fish_kv_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kv -n "__fish_kv_using_subcommand help" -s h -l help -d 'Print help'

# Completes what is in the store, keys and namespaces, and the fixed words that some arguments are.

# Finds out what the word at the cursor is. Prints, NUL behind each: its kind; the value typed so
# far; `bare` where a dash begins an option; and the options that name the same store.
function __kv_find
    set -l items (commandline -opc)
    set -l typed (__kv_unquote (commandline -ct))
    set -l command ''
    set -l place 1
    set -l pending ''
    set -l verbatim ''
    set -l store
    set -l space
    for item in $items[2..]
        set -l kind $pending
        set -l value $item
        if test -z "$pending"
            if test -z "$verbatim"; and string match -qr '^-([^0-9.]|0$)' -- $item
                if test "$item" = --
                    set verbatim yes
                    continue
                end
                set -l parts (__kv_option $item)
                set kind (__kv_kind "$command $parts[1]")
                if not set -q parts[2]
                    set pending $kind
                    continue
                end
                set value $parts[2]
            else if test -z "$command"
                set command $item
            else
                set place (math $place + 1)
            end
        end
        set pending ''
        switch "$kind"
            case store
                set store --store=(string replace -r '^~/' $HOME/ -- $value)
            case namespace
                set space --namespace=$value
        end
    end

    set -l kind $pending
    set -l bare bare
    if test -n "$pending"
    else if test -z "$verbatim"; and string match -q -- '-*' $typed
        set -l parts (__kv_option $typed)
        set -q parts[2]; or return
        set kind (__kv_kind "$command $parts[1]")
        set typed $parts[2]
        set bare ''
    else
        if test -n "$verbatim"
            set bare ''
            set kind (__kv_kind "$command --")
        end
        test -n "$kind"; or set kind (__kv_kind "$command $place")
        test -n "$kind"; or set kind (__kv_kind "$command +")
    end
    printf '%s\0' "$kind" "$typed" "$bare" $store $space
end

# Prints an option, and behind it its value if that is in the same word.
function __kv_option
    switch $argv[1]
        case '--*'
            string split -m 1 = -- $argv[1]
        case '*'
            string sub -l 2 -- $argv[1]
            set -l value (string sub -s 3 -- $argv[1])
            test -z "$value"; or string replace -r '^=' '' -- $value
    end
end

# Prints a word as the command would get it; its last quote may be open.
function __kv_unquote
    set -l word (string replace -r '(?<!\\\\)(?:\\\\\\\\)*\K\\\\$' '' -- "$argv")
    for end in '' \' '"'
        string unescape -- $word$end 2>/dev/null; and return
    end
end

function __kv_is_stored
    set -l found (__kv_find | string split0)
    string match -qr '^(key|namespace|one of .*)$' -- "$found[1]"
end

function __kv_stored
    set -l found (__kv_find | string split0)
    set -l typed $found[2]
    set -l program (commandline -opc)[1]
    string match -q '*/*' -- $program; or set program kv
    set program (string replace -r '^~/' $HOME/ -- $program) $found[4..]
    set -l answers
    switch $found[1]
        case key
            set answers (command $program ls -0 --prefix=$typed --limit 200 2>/dev/null | string split0)
            # The last key shows how far all of them agree, however many are left out.
            if test (count $answers) -ge 200
                set -a answers (command $program ls -0 --prefix=$typed --reverse --limit 1 2>/dev/null | string split0)
            end
        case namespace
            set answers (command $program namespaces -0 2>/dev/null | string split0)
        case '*'
            set answers (string split ' ' -- (string replace 'one of ' '' -- $found[1]))
    end
    set -q answers[1]; or return
    # An answer is a line here, and a tab would begin its description.
    set -l skipped '[\n\t]'
    test -z "$found[3]"; or set skipped '[\n\t]|^-'
    string match -rv $skipped -- $answers
end

# Tells what stands in a place: a command and the number of its argument (`+` for any further one,
# `--` for what follows that), or a command and one of its options.
function __kv_kind
    switch $argv[1]
        case 'lock --' \
            'memo --' \
            'pop --' \
            'update --' \
            'watch --'
            echo 'command'
        case '* --from' \
            '* --prefix' \
            '* --to' \
            'append 1' \
            'del +' \
            'delete +' \
            'edit 1' \
            'exists 1' \
            'expire 1' \
            'get 1' \
            'has 1' \
            'incr 1' \
            'memo 1' \
            'put 1' \
            'remove +' \
            'rm +' \
            'set 1' \
            'stat 1' \
            'ttl 1' \
            'update 1' \
            'wait 1'
            echo 'key'
        case '* --namespace' \
            '* -n' \
            'items 1' \
            'namespaces --remove' \
            'pop 1' \
            'push 1'
            echo 'namespace'
        case '* --color'
            echo 'one of auto always never'
        case 'completions 1' \
            'init 1'
            echo 'one of bash zsh fish'
        case '* --sync'
            echo 'one of full off'
        case '* --field'
            echo 'one of key namespace size modified expires etag'
        case 'expire 2'
            echo 'one of never'
        case 'help 1'
            echo 'one of put get remove rm rename copy ls has stat expire ttl incr append push pop items update edit lock memo wait watch batch import export gc fsck info serve mount namespaces completions init help recipes'
        case '* --on-loss'
            echo 'one of term ignore'
        case '* --store' \
            '* -s'
            echo 'store'
        case '* --attempts' \
            '* --busy-timeout' \
            '* --by' \
            '* --changed' \
            '* --default' \
            '* --env' \
            '* --evict-older-than' \
            '* --file' \
            '* --glob' \
            '* --host' \
            '* --if-etag' \
            '* --if-value' \
            '* --limit' \
            '* --listen' \
            '* --max-entries' \
            '* --max-size' \
            '* --max-value' \
            '* --modtime' \
            '* --settle' \
            '* --since' \
            '* --stale' \
            '* --timeout' \
            '* --token-file' \
            '* --ttl' \
            '* --wait' \
            '* -v'
            echo 'text'
    end
end

complete -c kv -n __kv_is_stored -l from -r -k -f -a '(__kv_stored)'
complete -c kv -n __kv_is_stored -l namespace -r -k -f -a '(__kv_stored)'
complete -c kv -n __kv_is_stored -l prefix -r -k -f -a '(__kv_stored)'
complete -c kv -n __kv_is_stored -l remove -r -k -f -a '(__kv_stored)'
complete -c kv -n __kv_is_stored -l to -r -k -f -a '(__kv_stored)'
complete -c kv -n __kv_is_stored -s n -l namespace -r -k -f -a '(__kv_stored)'
complete -c kv -n __kv_is_stored -k -f -a '(__kv_stored)'
