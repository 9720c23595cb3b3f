//! A server in a process of its own, as whoever has started it sees it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Map, Value};

use super::server::Serving;
use super::{CHILD, Result, text};

/// A server that runs. It ends with this.
pub(super) struct Served {
    pub(super) port: u16,
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What a server has used since it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) cpu_s: f64,
    pub(super) user_s: f64,
    /// Memory that it has now, in MiB.
    pub(super) rss_mib: f64,
}

impl Served {
    /// Start a server, and wait until it answers.
    pub(super) fn start(serving: &Serving) -> Result<Self> {
        let this = std::env::current_exe().map_err(text)?;
        let mut child = Command::new(this)
            .arg("query")
            .env(CHILD, serving.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let (ask, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or("a server without an output")?);
        let mut served = Self { port: 0, child, ask, answers };
        let port = served.answer()?.get("port").and_then(Value::as_u64);
        served.port = port.and_then(|port| port.try_into().ok()).ok_or("a server without a port")?;
        Ok(served)
    }

    fn answer(&mut self) -> Result<Map<String, Value>> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(text)?;
        serde_json::from_str(&line).map_err(|_| "the server has failed; it has said why".to_owned())
    }

    pub(super) fn usage(&mut self) -> Result<Usage> {
        let ask = self.ask.as_mut().ok_or("a server without an input")?;
        ask.write_all(b"\n").map_err(text)?;
        let answer = self.answer()?;
        let number = |name: &str| answer.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        Ok(Usage { cpu_s: number("cpu_s"), user_s: number("user_s"), rss_mib: number("rss_mib") })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.ask = None;
        let _ = self.child.wait();
    }
}
