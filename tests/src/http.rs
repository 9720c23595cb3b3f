//! Pages of a server, by the smallest client there is.

use std::io::{Read, Write};
use std::net::TcpStream;

/// `GET` of a path from `host:port`: the status and the body.
pub fn get(address: &str, path: &str) -> (u16, String) {
    get_with(address, path, &[])
}

/// The same with more headers.
pub fn get_with(address: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{more}\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask().unwrap_or_else(|error| panic!("no answer from http://{address}{path}: {error}"));
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { panic!("this is not HTTP: {answer}") };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status in {head}")), body.to_owned())
}
