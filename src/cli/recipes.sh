# kv for scripts, and for programs that drive a shell. It never asks;
# standard output is data, an error is one line on standard error.
# Status: 0 yes, 1 no (no such key, condition false; silent), 2 wrong
#   command line, 3 busy, 4 damaged data, 5 it could not be done.
#   What runs CMD returns CMD's status, or 124 busy, 125 kv failed.
# Facts as JSON, an object a line: get, stat, ttl, ls, items, info,
#   namespaces, fsck and lock --show have --json.

# A value, and whether it is there. Behind -- everything is text.
kv put -- "$key" "$value"
if found=$(kv get -- "$key"); then echo "$found"; fi
kv get --json -- "$key"

# Claim a task, with an owner and an end: one gets 0, others 1.
if kv put "task:$task" "$owner" --if-absent --ttl 10m; then
    echo "$task is mine"
    # Give it back, if it is still mine.
    kv remove "task:$task" --if-value "$owner"
fi

# A sequence number: nobody else gets this one.
number=$(kv incr orders)

# A queue: the element goes when CMD succeeds, else another gets it.
kv push jobs 'resize photo'
kv pop jobs -- cat

# A lock: it is free when CMD ends, however that ends.
kv lock --wait 10s deploy -- echo "only one at a time"

# Wait for another, and read what it has left.
kv wait "done:$task" --timeout 1m && kv get "done:$task"

# Change a value that others may change at the same time.
kv update total -- sh -c 'read -r n || n=0; echo $((n + 5))'

# A cached command: it runs once an hour, its output comes at once.
kv memo --ttl 1h -- date
