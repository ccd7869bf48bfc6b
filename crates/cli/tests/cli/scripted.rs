//! A registry that answers what it is told to, for faults that no real one shows on demand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

/// Answers every request of every connection with the same bytes, then closes.
pub(crate) struct Scripted {
    pub(crate) address: String,
}

impl Scripted {
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::serving(move |_, mut stream| {
            let _ = stream.write_all(&answer);
        })
    }

    /// Hands the first line of each request to `serve`, with the stream to answer on.
    pub(crate) fn serving(serve: impl Fn(&str, TcpStream) + Send + 'static) -> Self {
        Self::with_heads(move |head, stream| serve(head.lines().next().unwrap_or_default(), stream))
    }

    /// Hands the head of each request to `serve`, with the stream to answer on.
    pub(crate) fn with_heads(serve: impl Fn(&str, TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                serve(&head.join("\n"), stream.try_clone().unwrap());
            }
        });
        Self { address }
    }

    /// A status with a body.
    pub(crate) fn status(status: &str, headers: &str, body: &str) -> Self {
        Self::answering(response(status, headers, body))
    }
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}
