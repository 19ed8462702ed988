//! Servers that the tests start, on loopback and in the build's own directory.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use crate::harness::{cannot_run, has_program, until};

/// Runs a server for as long as somebody holds the other end of its input, whatever becomes of them.
const WARDEN: &str = r#""$@" >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null"#;

/// A server that dies with whoever started it.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    pub pid: u32,
    dir: PathBuf,
    warden: Child,
    /// Its end is the server's.
    _leash: ChildStdin,
}

impl Server {
    /// Starts a server on a free port; says loudly if that is impossible.
    #[track_caller]
    pub fn start(args: &[&str]) -> Option<Self> {
        if !(has_program("redis-server") || is_another()) || !has_program("redis-cli") {
            cannot_run("redis-server is not installed");
            return None;
        }
        let port = free_port();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("redis-{port}"));
        _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Some(Self::start_in(port, dir, args))
    }

    /// Starts a sentinel with this configuration, to which it adds.
    #[track_caller]
    pub fn start_sentinel(config: &Path) -> Option<Self> {
        let server = Self::start(&[])?;
        let (port, dir) = (server.port, server.dir.clone());
        drop(server);
        let mut command = Command::new("sh");
        command
            .args(["-c", WARDEN, "sh"])
            .arg(program())
            .arg(config);
        command.arg("--sentinel");
        Some(Self::run(command, port, dir, &[]))
    }

    fn start_in(port: u16, dir: PathBuf, args: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", WARDEN, "sh"]).arg(program());
        command.args(["--save", ""]);
        Self::run(command, port, dir, args)
    }

    fn run(mut command: Command, port: u16, dir: PathBuf, args: &[&str]) -> Self {
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command
            .arg("--dir")
            .arg(&dir)
            .args(["--logfile", "log"])
            .args(args);
        let mut warden = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let leash = warden.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(warden.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let pid = line.trim().parse().unwrap();
        until("the server listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            port,
            pid,
            dir,
            warden,
            _leash: leash,
        }
    }

    /// Kills it as a power cut would, and starts it again where it was.
    pub fn restart(self, args: &[&str]) -> Self {
        let (port, dir) = (self.port, self.dir.clone());
        drop(self);
        Self::start_in(port, dir, args)
    }

    /// Sends it a signal, as kill(1) names it.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Runs `redis-cli` and returns what it prints.
    pub fn cli(&self, args: &[&str]) -> String {
        cli(self.port, args)
    }

    /// Returns the location of a store of its own on this server.
    pub fn store(&self) -> String {
        format!("redis://127.0.0.1:{}?prefix={}", self.port, new_prefix())
    }
}

/// Returns the server that is tried: Redis, unless another is named, as in
/// `KV_TEST_REDIS=valkey-server tests/run redis`. `tests/run` alone tries both.
fn program() -> OsString {
    std::env::var_os("KV_TEST_REDIS").unwrap_or_else(|| "redis-server".into())
}

fn is_another() -> bool {
    std::env::var_os("KV_TEST_REDIS").is_some()
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.pid.to_string();
        _ = Command::new("kill")
            .args(["-9", &pid])
            .stderr(Stdio::null())
            .status();
        _ = self.warden.kill();
        _ = self.warden.wait();
    }
}

/// Runs `redis-cli` on a port and returns what it prints.
pub fn cli(port: u16, args: &[&str]) -> String {
    let port = port.to_string();
    let output = Command::new("timeout")
        .args(["60", "redis-cli", "-p", &port])
        .args(args)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Returns a port that nobody listens on. A cluster takes the one 10,000 above as well, and neither is
/// one of those that Linux gives to whoever connects, of which any may be taken at any moment.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 11_000 + (std::process::id() % 500) as u16 * 21;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed);
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

/// Returns a prefix that no other store of this run has.
fn new_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns the one server that all tests share which break nothing, each with a store of its own;
/// `None` where there can be none, which is said loudly.
#[track_caller]
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Server::start(&[])).as_ref();
    if server.is_none() {
        cannot_run("redis-server is not installed");
    }
    server
}

/// Returns the one cluster that all tests share which break nothing.
#[track_caller]
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(Cluster::start).as_ref();
    if cluster.is_none() {
        cannot_run("redis-server is not installed");
    }
    cluster
}

/// Returns the server, and a cluster of one node, for what stands between kv and one server.
pub fn each_server() -> impl Iterator<Item = &'static Server> {
    static LONE: OnceLock<Option<Server>> = OnceLock::new();
    let lone = LONE.get_or_init(|| {
        let lone = start_lone()?;
        lone.cli(&["cluster", "addslotsrange", "0", "16383"]);
        Some(lone)
    });
    until_served(lone.as_ref());
    server().into_iter().chain(lone)
}

/// Starts a cluster of one node, which is given no slots yet.
pub fn start_lone() -> Option<Server> {
    Server::start(&["--cluster-enabled", "yes"])
}

/// Waits until a node serves its slots.
pub fn until_served(node: Option<&Server>) {
    until("every slot is served", || {
        node.is_none_or(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"))
    });
}

/// Three masters and a replica of each.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<Server>,
}

/// What makes a server a node of a cluster that notices quickly that another is gone.
pub const NODE: [&str; 8] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "2000",
    "--appendonly",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
];

/// The same for a node of a cluster in which one replica alone is left to take over. On a slow machine
/// it would count as too old to be voted for, or move to a master that has none.
pub fn last_node() -> Vec<&'static str> {
    let lasting = [
        "--cluster-replica-validity-factor",
        "0",
        "--cluster-allow-replica-migration",
        "no",
    ];
    [&NODE[..], &lasting].concat()
}

/// Tells whether a master has slots, as one that came back late has none, and each of its replicas.
fn has_all_replicas(node: &Server, replication: &str) -> bool {
    let nodes = node.cli(&["cluster", "nodes"]);
    let fields = nodes
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let fields: Vec<_> = fields.collect();
    let own = fields.iter().find(|node| node[2].contains("myself"));
    own.is_some_and(|own| {
        let replicas = fields.iter().filter(|node| node[3] == own[0]).count();
        own.len() > 8 && replication.matches("state=online").count() == replicas
    })
}

impl Cluster {
    #[track_caller]
    pub fn start() -> Option<Self> {
        let nodes: Option<Vec<Server>> = (0..6).map(|_| Server::start(&NODE)).collect();
        let cluster = Self { nodes: nodes? };
        let mut create = vec!["--cluster".to_owned(), "create".to_owned()];
        create.extend(
            cluster
                .nodes
                .iter()
                .map(|node| format!("127.0.0.1:{}", node.port)),
        );
        create.extend(["--cluster-replicas", "1", "--cluster-yes"].map(String::from));
        let create: Vec<&str> = create.iter().map(String::as_str).collect();
        cluster.nodes[0].cli(&create);
        cluster.settle();
        Some(cluster)
    }

    /// Starts the fewest nodes of which one master has two replicas and can be replaced: it has all
    /// slots but the first two, and two more masters have one each, as only those who have any vote.
    #[track_caller]
    pub fn start_with_two_replicas() -> Option<Self> {
        let nodes: Option<Vec<Server>> = (0..5).map(|_| Server::start(&last_node())).collect();
        let cluster = Self { nodes: nodes? };
        let nodes = &cluster.nodes;
        for (node, [first, last]) in nodes.iter().zip([["2", "16383"], ["0", "0"], ["1", "1"]]) {
            node.cli(&["cluster", "addslotsrange", first, last]);
        }
        for node in &nodes[1..] {
            node.cli(&["cluster", "meet", "127.0.0.1", &nodes[0].port.to_string()]);
        }
        let master = nodes[0].cli(&["cluster", "myid"]);
        for node in &nodes[3..] {
            until("a replica knows its master", || {
                node.cli(&["cluster", "replicate", &master]) == "OK"
            });
        }
        cluster.settle();
        Some(cluster)
    }

    /// Waits until every slot is served and every replica is in step.
    pub fn settle(&self) {
        for node in &self.nodes {
            until("every node is in step", || {
                let state = node.cli(&["cluster", "info"]);
                let replication = node.cli(&["info", "replication"]);
                let is_in_step = match replication.contains("role:slave") {
                    true => replication.contains("master_link_status:up"),
                    false => has_all_replicas(node, &replication),
                };
                state.contains("cluster_state:ok") && is_in_step
            });
        }
    }

    /// Returns the numbers of the nodes that are masters now.
    pub fn masters(&self) -> Vec<usize> {
        let is_master = |number: &usize| {
            self.nodes[*number]
                .cli(&["info", "replication"])
                .contains("role:master")
        };
        (0..self.nodes.len()).filter(is_master).collect()
    }

    /// Returns the location of a store of its own on this cluster.
    pub fn store(&self) -> String {
        format!(
            "redis://127.0.0.1:{},127.0.0.1:{}?prefix={}",
            self.nodes[0].port,
            self.nodes[3].port,
            new_prefix()
        )
    }
}
