//! Bounded gzip and zstd decoding, and encoding whose bytes do not depend on threads.
//!
//! A layer's digest is over its compressed bytes and its diff ID over its plain bytes, so both directions are part of
//! a layer's identity. [`Decoder`] reads what anyone wrote, within [`Limits`]: members, frames and padding as they are
//! met in the wild, and never more output than was agreed. [`Encoder`] writes the same bytes for the same input,
//! whatever the number of threads and the size of the writes; [`recipe`] names what it does.
//!
//! Everything is blocking. Nothing is hashed here and nothing knows of tar.
//!
//! ```
//! use std::io::{Read, Write};
//! use transship_codec::{Decoder, Encoder, EncoderOptions, Limits};
//!
//! let mut encoder = Encoder::new(Vec::new(), EncoderOptions::default())?;
//! encoder.write_all(b"a layer")?;
//! let stored = encoder.finish()?;
//!
//! let mut plain = String::new();
//! Decoder::sniff(&stored[..], Limits::default())?.read_to_string(&mut plain)?;
//! assert_eq!(plain, "a layer");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bounded;
mod compression;
mod decoder;
mod deflate;
mod detect;
mod encoder;
mod error;
mod gzip;
mod input;
mod pool;
mod recipe;
mod zstd;

pub use bounded::Limits;
pub use compression::Compression;
pub use decoder::Decoder;
pub use detect::{Detected, MAGIC_LEN, detect};
pub use encoder::{Encoder, EncoderOptions};
pub use error::Error;
pub use recipe::recipe;
