//! A server of a test's own, and a client that says just what it is told to say.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use kv::exit::Exit;

use crate::harness::Sandbox;

/// A `kv serve` on a port of its own, which is killed when this is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    stderr: BufReader<ChildStderr>,
}

impl Server {
    /// Serves the sandbox's store, with these options too.
    #[track_caller]
    pub fn of(kv: &Sandbox, options: &[&str]) -> Self {
        Self::start(kv.kv(["serve", "--listen", "127.0.0.1:0"]).args(options))
    }

    /// Starts a server.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::try_start(command).unwrap_or_else(|said| panic!("it does not listen: {said:?}"))
    }

    /// Starts a server, or returns what one says that does not listen.
    pub fn try_start(command: &mut Command) -> Result<Self, String> {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line
            .trim_end()
            .strip_prefix("kv: listening on http://")
            .and_then(|rest| rest.split(';').next()?.parse().ok());
        let Some(address) = address else {
            stderr.read_to_string(&mut line).unwrap();
            _ = child.wait();
            return Err(line);
        };
        Ok(Self {
            child,
            address,
            stderr,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many requests wait for something to happen.
    #[track_caller]
    pub fn waiting(&self) -> usize {
        let text = self.ask("GET /metrics", &[], b"").is(200).text();
        let mut lines = text.lines();
        let count = lines.find_map(|line| line.strip_prefix("kv_http_waiting "));
        count.unwrap().parse().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request on a connection of its own, with the headers that each has to have.
    #[track_caller]
    pub fn ask(&self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.connect().ask(request, headers, body)
    }

    /// Connects.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::of(self.address).unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Waits for its end after SIGTERM, and returns what else it said.
    #[track_caller]
    pub fn stop(mut self) -> String {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(
            status.code(),
            Some(i32::from(Exit::Success.row().0)),
            "{said}"
        );
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Client {
    pub fn of(address: SocketAddr) -> std::io::Result<Self> {
        Self::on(TcpStream::connect(address)?)
    }

    /// Speaks on a connection.
    pub fn on(stream: TcpStream) -> std::io::Result<Self> {
        // It says that it hangs instead of hanging.
        stream.set_read_timeout(Some(Duration::from_secs(90)))?;
        let host = stream.peer_addr()?.to_string();
        Ok(Self {
            stream: BufReader::new(stream),
            host,
        })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Returns what comes, for who reads it as it is.
    pub fn stream(&mut self) -> &mut BufReader<TcpStream> {
        &mut self.stream
    }

    /// Sends no more.
    pub fn end(&mut self) {
        self.stream
            .get_ref()
            .shutdown(std::net::Shutdown::Write)
            .unwrap();
    }

    /// Sends a request, and reads its answer.
    #[track_caller]
    pub fn ask(&mut self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.begin(request, headers, body.len()).unwrap();
        // A server that does not want the body closes.
        _ = self.send(body);
        self.answer(request.starts_with("HEAD"))
            .unwrap_or_else(|| panic!("{request}: no answer"))
    }

    /// Sends the header of a request with a body of this length.
    pub fn begin(&mut self, request: &str, headers: &[&str], len: usize) -> std::io::Result<()> {
        let mut head = format!("{request} HTTP/1.1\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            _ = write!(head, "Host: {}\r\n", self.host);
        }
        if len > 0 || request.starts_with('P') {
            _ = write!(head, "Content-Length: {len}\r\n");
        }
        for header in headers {
            _ = write!(head, "{header}\r\n");
        }
        head += "\r\n";
        self.send(head.as_bytes())
    }

    /// Reads an answer; `None` where the connection is closed instead.
    pub fn answer(&mut self, is_head: bool) -> Option<Answer> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let code = lines[0].split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer {
            code,
            headers: lines.split_off(1),
            body: Vec::new(),
            is_whole: true,
        };
        if is_head || code == 204 || code == 304 {
            return Some(answer);
        }
        if answer.header("transfer-encoding").is_some() {
            answer.is_whole = self.chunks(&mut answer.body).is_some();
        } else {
            let length: u64 = answer.header("content-length")?.parse().ok()?;
            let mut body = (&mut self.stream).take(length);
            _ = body.read_to_end(&mut answer.body);
            answer.is_whole = answer.body.len() as u64 == length;
        }
        Some(answer)
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Option<()> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            let length = u64::from_str_radix(line.trim_end(), 16).ok()?;
            let mut part = Vec::new();
            (&mut self.stream)
                .take(length + 2)
                .read_to_end(&mut part)
                .ok()?;
            part.truncate(usize::try_from(length).ok()?);
            body.extend_from_slice(&part);
            if length == 0 {
                return Some(());
            }
        }
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: Vec<String>,
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub is_whole: bool,
}

impl Answer {
    /// Demands a status.
    #[track_caller]
    pub fn is(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{:?}: {}", self.headers, self.text());
        self
    }

    /// Demands that it was done.
    #[track_caller]
    pub fn done(self) -> Self {
        assert!(self.code < 300, "{}: {}", self.code, self.text());
        self
    }

    /// Demands a status, and a body that tells this exit status.
    #[track_caller]
    pub fn refuses(self, code: u16, exit: Exit) -> Self {
        let answer = self.is(code);
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(told["status"], exit.row().0, "{}", answer.text());
        assert!(told["error"].is_string());
        answer
    }

    /// Demands a body.
    #[track_caller]
    pub fn holds(self, body: impl AsRef<[u8]>) -> Self {
        assert!(self.is_whole, "{:?} is cut off", self.headers);
        let shown = String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]);
        assert!(self.body == body.as_ref(), "{:?}: {shown}", self.headers);
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (other, value) = line.split_once(':')?;
            other.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
