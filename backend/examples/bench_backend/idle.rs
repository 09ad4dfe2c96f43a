//! What a server takes that does nothing, and how long it takes to start.

use crate::process::{load, memory};
use crate::program::Program;
use crate::{Failure, Options, Table, median};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

/// How often it is started.
const STARTS: usize = 7;
/// Connections that stay open, each of which was answered once.
const CONNECTIONS: usize = 1000;

/// Measures, and prints: on an empty store and on a full one.
pub fn measure(options: &Options, full: &Path) -> Result<(), Failure> {
    let table = Table::new(&["what", "store", "measured", "load", "goal"]);
    let empty = options.work.join("empty");
    for (store, folder) in [("empty", empty.as_path()), ("full", full)] {
        std::fs::create_dir_all(folder)?;
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            if store == "empty" {
                // Keys and tables are made each time.
                std::fs::remove_dir_all(folder)?;
                std::fs::create_dir_all(folder)?;
            }
            starts.push(Program::server(&options.server, folder)?.started.as_secs_f64());
        }
        let slowest = starts.iter().copied().fold(0.0, f64::max);
        let measured = format!("{:.3} s, {slowest:.3} s at most", median(starts));
        table.row(&["start to ready", store, &measured, &load(), "0.5 s"]);
        let server = Program::server(&options.server, folder)?;
        let idle = memory(server.pid(), "VmRSS")?;
        table.row(&["memory, idle", store, &format!("{idle:.1} MB"), &load(), "40 MB"]);
        let open = (0..CONNECTIONS).map(|_| ask(&server)).collect::<Result<Vec<_>, _>>()?;
        let busy = memory(server.pid(), "VmRSS")?;
        let what = format!("memory with {} open connections", open.len());
        table.row(&[&what, store, &format!("{busy:.1} MB"), &load(), "200 MB"]);
    }
    Ok(())
}

/// One request, whose connection stays open.
fn ask(server: &Program) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(server.address)?;
    write!(stream, "GET /api/server HTTP/1.1\r\nHost: {}\r\n\r\n", server.address)?;
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer)?;
    if !answer.get(..read).unwrap_or_default().starts_with(b"HTTP/1.1 200") {
        return Err(format!("not answered: {}", String::from_utf8_lossy(&answer)).into());
    }
    Ok(stream)
}
