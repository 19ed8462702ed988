//! What is told to those who watch over the service: whether it is well, and what was done, as Prometheus
//! reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use axum_core::response::IntoResponse as _;
use hyper::http::{Method, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::store::{self, Namespace};

use super::reply::{Answer, Refusal, typed};
use super::{App, MAX_WAITS};

/// The bounds of the latencies, in seconds.
const BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Entries are counted again when the count is older than this, and than so many times what it takes
/// to count: it may take a look at all of them.
const COUNT_AGE: Duration = Duration::from_secs(1);
const COUNT_SHARE: u32 = 50;
/// The most namespaces that are counted: each list is one, and each has series of its own.
const MAX_COUNTED: usize = 100;

/// Counters since the start.
#[derive(Default)]
pub(super) struct Metrics {
    pub(super) connections: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    requests: Mutex<Requests>,
    /// What there is, and until when that is not counted again.
    counted: AsyncMutex<Option<(Instant, Counts)>>,
}

#[derive(Default)]
struct Requests {
    by_code: BTreeMap<(&'static str, u16), u64>,
    by_time: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

#[derive(Clone)]
struct Counts {
    /// How many namespaces there are.
    namespaces: usize,
    /// The one that is used unless another is named, and the first of the others.
    some: Vec<Count>,
}

/// What is in a namespace.
#[derive(Clone)]
struct Count {
    namespace: Namespace,
    entries: u64,
    bytes: u64,
}

impl Metrics {
    /// Notes that a request was answered.
    pub(super) fn note(&self, method: &Method, code: StatusCode, took: Duration) {
        let known = ["GET", "HEAD", "PUT", "DELETE", "POST"].into_iter();
        let method = { known }.find(|known| *known == method.as_str());
        let method = method.unwrap_or("other");
        let mut requests = self.requests.lock();
        *requests.by_code.entry((method, code.as_u16())).or_default() += 1;
        let seconds = took.as_secs_f64();
        if let Some(at) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            requests.by_time[at] += 1;
        }
        requests.count += 1;
        requests.seconds += seconds;
    }
}

/// Tells whether the store can be read.
pub(super) async fn health(app: &Arc<App>) -> Answer {
    app.still_there().await?;
    app.aside(|app| app.store().namespaces()).await?;
    Ok("ok\n".into_response())
}

/// Tells what was done, and what there is, for Prometheus.
pub(super) async fn metrics(app: &Arc<App>) -> Answer {
    let text = app.metrics_text().await;
    Ok(typed("text/plain; version=0.0.4; charset=utf-8", text))
}

impl App {
    /// Writes all of it. It looks into the store and may take a while; what was asked of the service counts
    /// also where the store cannot be read.
    async fn metrics_text(self: &Arc<Self>) -> String {
        let counts = match self.still_there().await {
            Ok(()) => self.counts().await.ok(),
            Err(_) => None,
        };
        let mut text = String::new();
        self.write_requests(&mut text);
        let metrics = &self.metrics;
        let mut one = |name, kind, help, number: u64| {
            head(&mut text, name, kind, help);
            _ = writeln!(text, "{name} {number}");
        };
        let connections = metrics.connections.load(Relaxed);
        one(
            "kv_http_connections",
            "gauge",
            "Open connections.",
            connections,
        );
        let waiting = (MAX_WAITS - self.waits.available_permits()) as u64;
        let help = "Requests that wait for something to happen.";
        one("kv_http_waiting", "gauge", help, waiting);
        let help = "Whether the store can be read.";
        one("kv_store_up", "gauge", help, u64::from(counts.is_some()));
        let help = "Whether nothing can be changed.";
        let read_only = u64::from(self.config.read_only);
        one("kv_read_only", "gauge", help, read_only);
        let received = metrics.received.load(Relaxed);
        let help = "Bytes received, headers included.";
        one("kv_http_received_bytes_total", "counter", help, received);
        let sent = metrics.sent.load(Relaxed);
        let help = "Bytes sent, headers included.";
        one("kv_http_sent_bytes_total", "counter", help, sent);
        let Some(counts) = counts else {
            return text;
        };
        let help = "Namespaces, of which the first are counted below.";
        one("kv_namespaces", "gauge", help, counts.namespaces as u64);
        let mut gauge = |name, help, number: fn(&Count) -> u64| {
            head(&mut text, name, "gauge", help);
            for count in &counts.some {
                let label = count.namespace.as_str();
                let label = label.replace('\\', "\\\\").replace('"', "\\\"");
                _ = writeln!(text, "{name}{{namespace=\"{label}\"}} {}", number(count));
            }
        };
        gauge("kv_entries", "Living entries.", |count| count.entries);
        gauge("kv_bytes", "Bytes of keys and values.", |count| count.bytes);
        text
    }

    fn write_requests(&self, text: &mut String) {
        let requests = self.metrics.requests.lock();
        let name = "kv_http_requests_total";
        head(text, name, "counter", "Requests answered.");
        for ((method, code), count) in &requests.by_code {
            _ = writeln!(
                text,
                "{name}{{method=\"{method}\",code=\"{code}\"}} {count}"
            );
        }
        let name = "kv_http_request_duration_seconds";
        head(
            text,
            name,
            "histogram",
            "Time from a header to its answer's.",
        );
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(requests.by_time) {
            below += count;
            _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {below}");
        }
        let Requests { count, seconds, .. } = *requests;
        _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {count}");
        _ = writeln!(text, "{name}_sum {seconds}\n{name}_count {count}");
    }

    /// Counts what is in the store, unless that was done a moment ago. One counts at a time.
    async fn counts(self: &Arc<Self>) -> Result<Counts, Refusal> {
        let mut counted = self.metrics.counted.lock().await;
        let begun = Instant::now();
        if let Some((until, counts)) = &*counted
            && begun < *until
        {
            return Ok(counts.clone());
        }
        let counts = self.aside(Self::count).await?;
        let rest = COUNT_AGE.max(begun.elapsed() * COUNT_SHARE);
        *counted = Some((Instant::now() + rest, counts.clone()));
        Ok(counts)
    }

    fn count(&self) -> store::Result<Counts> {
        let mut names = self.store().namespaces()?;
        let namespaces = names.len();
        names.sort_by_key(|name| *name != self.config.namespace);
        names.truncate(MAX_COUNTED);
        let mut some = Vec::new();
        for namespace in names {
            if let Some(info) = self.store().info(&namespace, self.clock().now())? {
                some.push(Count {
                    namespace,
                    entries: info.entries,
                    bytes: info.bytes,
                });
            }
        }
        Ok(Counts { namespaces, some })
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
