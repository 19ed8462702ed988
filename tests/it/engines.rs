//! What keeps the stores of the tests that every engine passes.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::KV;
use crate::nginx::{self, Nginx};
use crate::redis::servers;

/// What keeps the stores of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Tree,
    Sqlite,
    /// One server of Redis.
    Redis,
    /// Three masters with a replica each.
    Cluster,
    /// A service, on a port, with a directory behind it.
    Http,
    /// A service, on a socket of the file system, with SQLite behind it.
    HttpSqlite,
    /// A service, on a port, that has all in its memory: the defaults of the facets.
    HttpMemory,
    /// A service as [`Self::Http`], behind nginx as it comes.
    Nginx,
}

thread_local! {
    static ENGINE: Cell<Engine> = const { Cell::new(Engine::Tree) };
}

impl Engine {
    /// What survives a power cut is another test's concern.
    pub fn settings(self) -> Option<(&'static str, &'static str)> {
        (self != Self::Tree).then_some(("KV_SYNC", "off"))
    }

    /// Tells whether it can be had here, and says loudly if it cannot.
    #[track_caller]
    pub fn is_here(self) -> bool {
        match self {
            Self::Tree | Self::Sqlite | Self::Http | Self::HttpMemory | Self::HttpSqlite => true,
            Self::Nginx => nginx::is_here(),
            Self::Redis => servers::server().is_some(),
            Self::Cluster => servers::cluster().is_some(),
        }
    }

    /// Returns the port of a server that has it.
    pub fn port(self) -> u16 {
        let server = match self {
            Self::Cluster => servers::cluster().map(|cluster| &cluster.nodes[0]),
            _ => servers::server(),
        };
        server.expect("it is here").port
    }

    /// Returns the engine of the test that is running.
    pub fn current() -> Self {
        ENGINE.get()
    }

    /// Runs a test whose sandboxes have their stores on this engine.
    pub fn run(self, test: fn()) {
        let before = ENGINE.replace(self);
        test();
        ENGINE.set(before);
    }
}

/// A `kv serve` that a sandbox has its store behind. It is killed when this is dropped.
pub struct Service {
    child: Child,
    location: OsString,
    behind: OsString,
    address: String,
    _proxy: Option<Nginx>,
}

impl Service {
    /// Serves what the engine has behind a service, in the directory of a sandbox.
    #[track_caller]
    pub fn of(engine: Engine, root: &Path, store: &Path) -> Self {
        let socket = root.join("socket");
        let (listen, behind) = match engine {
            Engine::HttpSqlite => (prefixed("unix:", &socket), prefixed("sqlite:", store)),
            Engine::HttpMemory => ("127.0.0.1:0".into(), "memory:".into()),
            _ => ("127.0.0.1:0".into(), OsString::from(store)),
        };
        let mut command = Command::new(KV);
        let mut child = command
            .args(["serve".into(), "--listen".into(), listen])
            .env_clear()
            .env("KV_STORE", &behind)
            .env("KV_SYNC", "off")
            .current_dir(root)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let place = line.strip_prefix("kv: listening on ");
        let place = place.unwrap_or_else(|| panic!("it does not listen: {line:?}"));
        let place = place.split(';').next().unwrap().trim_end();
        let proxy = (engine == Engine::Nginx).then(|| Nginx::before(place));
        let location = match (engine, &proxy) {
            (Engine::HttpSqlite, _) => prefixed("http+unix:", &socket),
            (_, Some(proxy)) => proxy.location(),
            _ => place.into(),
        };
        // What it says of damage is not looked at, and must find a reader all the same.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let address = place.to_owned();
        Self {
            child,
            location,
            behind,
            address,
            _proxy: proxy,
        }
    }

    /// Returns the location of the store that is served.
    pub fn behind(&self) -> OsString {
        self.behind.clone()
    }

    /// Returns how many requests wait for something to happen.
    pub fn waiting(&self) -> usize {
        let mut text = String::new();
        let request = b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
        if let Some(address) = self.address.strip_prefix("http://") {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request).unwrap();
            stream.read_to_string(&mut text).unwrap();
        } else {
            let path = self.address.strip_prefix("unix:").unwrap();
            let mut stream = UnixStream::connect(path).unwrap();
            stream.write_all(request).unwrap();
            stream.read_to_string(&mut text).unwrap();
        }
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("kv_http_waiting "));
        line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
    }

    pub fn location(&self) -> OsString {
        self.location.clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}
