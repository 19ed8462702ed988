//! What a service manager and the service have to do with each other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Stdio;
use std::time::Duration;

use kv::exit::Exit;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::harness::{Ran, Sandbox, has_program};
use crate::process::Started;

/// Starts `kv serve` with a socket of ours, as systemd does.
fn serve_on(kv: &Sandbox, socket: &impl std::os::fd::AsFd) -> std::process::Command {
    fcntl_setfd(socket.as_fd(), FdFlags::empty()).unwrap();
    let fd = socket.as_fd().as_raw_fd();
    let script = format!("export LISTEN_FDS=1 LISTEN_PID=$$; exec kv serve 3<&{fd}");
    // Not every shell takes numbers of two digits.
    let mut command = kv.kv([""; 0]);
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = std::process::Command::new("bash");
    command
        .args(["-c", &script])
        .env_clear()
        .envs(environment)
        .env("PATH", crate::harness::path_with_kv())
        .current_dir(kv.root())
        .stdin(Stdio::null());
    command
}

#[test]
fn a_socket_that_is_given_is_served_and_stays() {
    if !has_program("bash") {
        return crate::harness::cannot_run("bash is not here");
    }
    let kv = Sandbox::new();
    let path = kv.path("socket");
    let socket = UnixListener::bind(&path).unwrap();
    // Whoever connects before the service is there is served too.
    let mut client = UnixStream::connect(&path).unwrap();
    client
        .write_all(b"PUT /v1/default/k HTTP/1.0\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv")
        .unwrap();
    let mut command = serve_on(&kv, &socket);
    let mut server = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(server.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, format!("kv: listening on unix:{}\n", path.display()));
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 201"), "{answer}");
    let pid = nix::unistd::Pid::from_raw(server.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(path.exists(), "it is not ours to remove");
    kv.holds("k", "v");
}

#[test]
fn a_socket_for_all_the_world_wants_a_token() {
    if !has_program("bash") {
        return crate::harness::cannot_run("bash is not here");
    }
    let kv = Sandbox::new();
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    Ran::of(&mut serve_on(&kv, &socket))
        .ends(Exit::Usage)
        .complains(&["--token-file"]);
    let no_socket = std::fs::File::open("/dev/null").unwrap();
    Ran::of(&mut serve_on(&kv, &no_socket))
        .ends(Exit::Failure)
        .complains(&["service manager's socket"]);
    let no_listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    Ran::of(&mut serve_on(&kv, &no_listener))
        .ends(Exit::Failure)
        .complains(&["service manager's socket", "no listening stream socket"]);
    let messages = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        None,
    );
    let messages = messages.unwrap();
    let path = rustix::net::SocketAddrUnix::new(kv.path("messages")).unwrap();
    rustix::net::bind(&messages, &path).unwrap();
    rustix::net::listen(&messages, 8).unwrap();
    Ran::of(&mut serve_on(&kv, &messages))
        .ends(Exit::Failure)
        .complains(&["no listening stream socket", "ListenStream="]);
}

#[test]
fn it_tells_when_it_is_ready() {
    let kv = Sandbox::new();
    let manager = UnixDatagram::bind(kv.path("notify")).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut command = kv.kv(["serve", "--listen", "127.0.0.1:0"]);
    let _server = Started::new({
        command.env("NOTIFY_SOCKET", kv.path("notify"));
        command
    });
    let mut message = [0; 100];
    let n = manager.recv(&mut message).unwrap();
    assert_eq!(&message[..n], b"READY=1\n");
}
