//! What is typed, as the command line that it is read as.

use std::ffi::OsString;

use clap::error::ErrorKind;
use kv::cli::{Cli, Command, ServeArgs, parse};
use kv::wire::http::Address;

fn read(line: &str) -> Result<Cli, clap::Error> {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    parse(&words)
}

fn serve(option: &str) -> Option<ServeArgs> {
    match read(&format!("kv serve {option}")).ok()?.command {
        Command::Serve(with) => Some(with.args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_line_of_fstab_is_a_command_line() {
    for (line, want) in [
        ("mount.kv /srv/s /mnt", "kv --store /srv/s mount -- /mnt"),
        (
            "/sbin/mount.kv kv#redis://h /mnt -sn -o rw,nofail,x-systemd.automount",
            "kv --store redis://h mount -- /mnt",
        ),
        (
            "mount.kv /s /mnt -v -t kv -o ro,allow_other,namespace=a=b,busy-timeout=2s",
            "kv --store /s mount --read-only --allow-other --namespace=a=b --busy-timeout=2s -- /mnt",
        ),
        (
            "mount.fuse.kv /s /mnt -o ro,noexec,rw,user=me,exec,noexec,X-mount.mkdir,comment=a,sync,sync=off",
            "kv --store /s mount --no-exec --sync=off -- /mnt",
        ),
        (
            "mount.kv /s /mnt -o async,sync",
            "kv --store /s mount --synchronous -- /mnt",
        ),
        (
            "mount.kv /s /mnt -o default_permissions,kv-sync=off,kv_read_only",
            "kv --store /s mount --sync=off --read-only -- /mnt",
        ),
        (
            "mount.kv /s /mnt -o strictatime,lazytime,nodiratime,norelatime,silent,dirsync,nomand,owner",
            "kv --store /s mount -- /mnt",
        ),
        // What mount(8) calls for a trial does nothing, and with -s knows every option.
        ("mount.kv /s /mnt -f -o ro", "kv --store memory: ls"),
        (
            "mount.kv /s /mnt -s -o bogus=1,ro,busy_timeout=2s",
            "kv --store /s mount --read-only --busy-timeout=2s -- /mnt",
        ),
    ] {
        let (line, want) = (read(line).unwrap(), read(want).unwrap());
        assert_eq!(format!("{line:?}"), format!("{want:?}"));
    }
    // A call without its words.
    let kind = |line: &str| read(line).unwrap_err().kind();
    assert_eq!(kind("mount.kv"), ErrorKind::MissingRequiredArgument);
    for line in [
        "mount.kv s /mnt",
        "mount.kv sqlite:s.db /mnt",
        "mount.kv /s /mnt -o",
    ] {
        assert_eq!(kind(line), ErrorKind::ValueValidation, "{line}");
    }
    assert_eq!(kind("kv mount.kv dir"), ErrorKind::InvalidSubcommand);
}

#[test]
fn a_host_is_a_name_without_a_port() {
    for name in ["kv.example.org", "LOCALHOST", "10.0.0.1", "::1", "a_b-c"] {
        assert_eq!(serve(&format!("--host {name}")).unwrap().host, [name]);
    }
    assert_eq!(serve("--host [fe80::1]").unwrap().host, ["fe80::1"]);
    for bad in [
        "kv.example.org:80",
        "*",
        "*.example.org",
        "",
        "[::1]:80",
        "http://kv",
    ] {
        assert!(serve(&format!("--host={bad}")).is_none(), "{bad}");
    }
}

#[test]
fn an_address_is_numbers_or_a_path() {
    for (text, want) in [
        ("localhost:1", Some("127.0.0.1:1")),
        ("0.0.0.0:0", Some("0.0.0.0:0")),
        ("[::1]:80", Some("[::1]:80")),
        ("localhost", None),
        ("example.org:80", None),
        ("127.0.0.1", None),
        ("unix:", None),
        ("", None),
    ] {
        let want = want.map(|want| Address::Tcp(want.parse().unwrap()));
        let listen = serve(&format!("--listen={text}")).map(|args| args.listen);
        assert_eq!(listen, want, "{text}");
    }
    let path = serve("--listen unix:a:b").unwrap().listen;
    assert_eq!(path, Address::Unix("a:b".into()));
}
