//! Services behind a proxy that speaks TLS.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use kv::exit::Exit;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::{Ran, Sandbox, cannot_run, has_program};
use crate::redis::locations::CERTIFICATES;
use crate::serve::client::Server;

/// Serves what is behind it below `/base`, with TLS, one request a connection.
fn proxy(kv: &Sandbox, behind: SocketAddr) -> u16 {
    let certificate = CertificateDer::from_pem_file(kv.path("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(kv.path("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut outside = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
            // Whoever does not trust us hangs up.
            _ = pass(&mut outside, behind);
        }
    });
    port
}

fn pass(
    outside: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>,
    behind: SocketAddr,
) -> std::io::Result<()> {
    let mut head = String::new();
    let mut length = 0;
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        if outside.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(number) = line.to_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
        head += &line;
    }
    let mut body = vec![0; length];
    outside.read_exact(&mut body)?;
    let head = head
        .replacen(" /base/", " /", 1)
        .replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let mut inside = TcpStream::connect(behind)?;
    inside.write_all(head.as_bytes())?;
    inside.write_all(&body)?;
    let mut answer = Vec::new();
    inside.read_to_end(&mut answer)?;
    let outside = outside.get_mut();
    outside.write_all(&answer)?;
    outside.conn.send_close_notify();
    outside.flush()
}

#[test]
fn tls_and_a_base_path_lead_to_the_store() {
    if !has_program("openssl") {
        return cannot_run("openssl is not installed");
    }
    let kv = Sandbox::new();
    kv.shell("sh", CERTIFICATES).ends(Exit::Success);
    kv.secret("token", "s3cret0123456789");
    let server = Server::of(&kv, &["--token-file", "token"]);
    let port = proxy(&kv, server.address());
    let run = |store: &str, args: &[&str], authority: &str| {
        let mut command = kv.kv(args);
        command
            .env("KV_STORE", store)
            .env("KV_TOKEN", "s3cret0123456789")
            .env("SSL_CERT_FILE", kv.path(authority));
        Ran::of(&mut command)
    };
    let store = format!("https://localhost:{port}/base/");
    run(&store, &["put", "k", "v"], "ca.pem").ends(Exit::Success);
    run(&store, &["get", "k"], "ca.pem")
        .ends(Exit::Success)
        .prints("v");
    run(&store, &["incr", "n"], "ca.pem")
        .ends(Exit::Success)
        .prints("1\n");
    run(&store, &["get", "missing"], "ca.pem").ends(Exit::No);
    kv.holds("k", "v");
    // Whom nobody vouches for gets nothing, and the token least of all.
    let other = "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out other.pem -subj /CN=o";
    kv.shell("sh", other).ends(Exit::Success);
    run(&store, &["get", "k"], "other.pem")
        .ends(Exit::Failure)
        .complains(&["cannot reach `https://localhost", "set SSL_CERT_FILE to"]);
    run(&store, &["put", "k", "v"], "none.pem")
        .ends(Exit::Failure)
        .complains(&[
            "cannot reach `https://localhost",
            "none.pem",
            "SSL_CERT_FILE",
        ]);
    let store = format!("https://127.0.0.2:{port}");
    run(&store, &["get", "k"], "ca.pem").ends(Exit::Failure);
    // It speaks TLS and is asked without.
    let store = format!("http://localhost:{port}");
    run(&store, &["get", "k"], "ca.pem").ends(Exit::Failure);
}
