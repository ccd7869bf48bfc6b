//! A proxy that makes a way long: everything takes 25 ms longer in each direction, and as much as before gets through.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// What a round trip takes longer.
pub(super) const ROUND_TRIP: Duration = Duration::from_millis(50);
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Pieces on their way.
const PIECES: usize = 256;

/// Starts a proxy to `to`, which lives as long as this process; its host and port.
///
/// # Errors
///
/// If there is no port.
pub(super) fn start(to: &str) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let host = listener.local_addr()?.to_string();
    let to = to.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(server) = TcpStream::connect(&to) {
                join(&client, &server);
                join(&server, &client);
            }
        }
    });
    Ok(host)
}

/// Carries what comes from one side to the other. A side that is gone ends it.
fn join(from: &TcpStream, to: &TcpStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let _ = to.set_nodelay(true);
    let (sender, receiver): (SyncSender<(Instant, Vec<u8>)>, Receiver<_>) = sync_channel(PIECES);
    thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if sender.send((Instant::now() + ROUND_TRIP / 2, piece[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        while let Ok((when, piece)) = receiver.recv() {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_comes_back_later() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = start(&listener.local_addr().unwrap().to_string()).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(&asked).unwrap();
        });
        let mut stream = TcpStream::connect(host).unwrap();
        let begin = Instant::now();
        stream.write_all(b"ping").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"ping");
        assert!(begin.elapsed() >= ROUND_TRIP);
    }
}
