//! Expiries as extended attributes.

use kv::exit::Exit;

use super::on_each;
use crate::harness::Engine;

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

#[test]
fn the_expiry_of_what_is_being_written_is_set_at_once() {
    on_each(MOST, |kv, mount| {
        for how in ["TRUNC", "APPEND", "SYNC"] {
            kv.run(["put", "--ttl", "1s", "k", "old"])
                .ends(Exit::Success);
            let script = format!(
                "python3 -c \"import os, time
fd = os.open('k', os.O_WRONLY|os.O_{how}); os.write(fd, b'new')
os.setxattr(fd, 'user.kv.expires', b'never'); print(os.getxattr('k', 'user.kv.expires').decode())
time.sleep(1.2); os.close(fd)\"; kv ttl k; kv get k"
            );
            let added = if how == "APPEND" { "old" } else { "" };
            let ran = mount.shell(kv, &script).ends(Exit::Success);
            ran.prints(format!("never\nnever\n{added}new"));
        }
        // Of a file that is nowhere yet it is stored with it.
        let script = "python3 -c \"import os
fd = os.open('fresh', os.O_WRONLY|os.O_CREAT|os.O_TRUNC); os.setxattr(fd, 'user.kv.expires', b'1h')
os.close(fd)
def tried(name, value, flags):
    try: os.setxattr('fresh', name, value, flags); return 0
    except OSError as err: return err.errno
e = 'user.kv.expires'
print(tried(e, b'1h', os.XATTR_CREATE), tried(e, b'never', os.XATTR_REPLACE))
print(tried(e, b'2h', os.XATTR_REPLACE), tried(e, b'2h', os.XATTR_CREATE))\"; kv ttl fresh | cut -c1";
        let ran = mount.shell(kv, script).ends(Exit::Success);
        ran.prints("17 0\n61 0\n7\n");
    });
}
