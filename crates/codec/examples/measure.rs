//! How fast and how small each level is: `cargo run --release --example measure -- FILE [THREADS [LEVEL]]`, where
//! LEVEL is one level of gzip.
//!
//! The figures behind the default level come from here; compare with `time pigz -6 -p2 < FILE | wc -c`.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use transship_codec::{Compression, Encoder, EncoderOptions, recipe};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = std::fs::read(arguments.next().ok_or("name a file")?)?;
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let gzip = arguments.next().map_or(Ok(1..=9), |text| text.parse().map(|level: i32| level..=level))?;
    let mut out = std::io::stdout().lock();
    for (compression, levels) in [(Compression::Gzip, gzip), (Compression::Zstd, 1..=3)] {
        for level in levels {
            let begun = Instant::now();
            let mut encoder =
                Encoder::new(Vec::new(), EncoderOptions { compression, level: Some(level), threads })?;
            for piece in data.chunks(64 << 10) {
                encoder.write_all(piece)?;
            }
            let size = encoder.finish()?.len();
            let seconds = begun.elapsed().as_secs_f64();
            let (speed, ratio) = (data.len() as f64 / 1e6 / seconds, data.len() as f64 / size as f64);
            let name = recipe(compression, Some(level))?;
            writeln!(out, "{name:<44} {speed:>6.0} MB/s  {size:>11} bytes  {ratio:.3}")?;
        }
    }
    Ok(())
}
