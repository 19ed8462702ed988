//! nginx in front of a service, with its defaults.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::{cannot_run, has_program, until};

/// Tells whether it can be had here, and says loudly if it cannot.
#[track_caller]
pub fn is_here() -> bool {
    let is_here = has_program("nginx");
    if !is_here {
        cannot_run("nginx is not installed");
    }
    is_here
}

/// A server that is killed when this is dropped.
pub struct Nginx {
    child: Child,
    socket: PathBuf,
    _dir: TempDir,
}

impl Nginx {
    /// Hands on what comes to a socket of its own.
    #[track_caller]
    pub fn before(service: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        let socket = dir.join("socket");
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            temporary += &format!("{kind}_temp_path {}/{kind};\n", dir.display());
        }
        // What is said here is where things are; and how large a body may be, which is 1 MiB otherwise.
        let config = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log {dir}/log;\n\
             events {{}}\n\
             http {{\n access_log off; client_max_body_size 0;\n{temporary}\
             server {{ listen unix:{socket}; location / {{ proxy_pass {service}; }} }}\n}}\n",
            dir = dir.display(),
            socket = socket.display(),
        );
        let path = dir.join("nginx.conf");
        fs::write(&path, config).unwrap();
        let child = Command::new("nginx")
            .args(["-e", "stderr", "-c"])
            .arg(&path)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self {
            child,
            socket,
            _dir: home,
        };
        until("nginx listens", || {
            UnixStream::connect(&nginx.socket).is_ok()
        });
        nginx
    }

    /// Returns what `--store` takes to come in through it.
    pub fn location(&self) -> OsString {
        let mut location = OsString::from("http+unix:");
        location.push(&self.socket);
        location
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
