//! The name of what an encoder does to bytes.

use crate::{Compression, Error, deflate, zstd};

/// Names encoder, version and level: two builds that give the same name give the same bytes.
///
/// Gzip is written by an encoder of this crate, whose version changes whenever its bytes do. Zstd's library is asked for its
/// version at run time, since the one that was wanted at build time is not always the one that was linked.
///
/// # Errors
/// [`Error::Level`] and [`Error::Unsupported`], as [`Encoder::new`](crate::Encoder::new).
///
/// ```
/// use transship_codec::{Compression, recipe};
///
/// assert_eq!(recipe(Compression::Gzip, Some(6))?, "gzip/transship-1/level-6");
/// # Ok::<(), transship_codec::Error>(())
/// ```
pub fn recipe(compression: Compression, level: Option<i32>) -> Result<String, Error> {
    let level = compression.checked_level(level)?;
    match compression {
        Compression::None => Ok("none".to_owned()),
        Compression::Gzip => Ok(format!("gzip/{}/level-{level}", deflate::VERSION)),
        Compression::Zstd => Ok(format!("zstd/libzstd-{}/level-{level}", zstd::version()?)),
    }
}
