//! The name of what an encoder does to bytes.

use transship_spec::Digest;

use crate::{Compression, Error, gzip, zstd};

/// Names encoder, version and level: two builds that give the same name give the same bytes.
///
/// Zstd's library tells its version. Zlib-rs tells none at run time, and the version that was asked for at build time
/// is not always the one that was linked; so in its place stand eight digits of a digest over what it makes of a
/// fixed text at this level, which is the thing that matters.
///
/// # Errors
/// [`Error::Level`] and [`Error::Unsupported`], as [`Encoder::new`](crate::Encoder::new).
///
/// ```
/// use transship_codec::{Compression, recipe};
///
/// let name = recipe(Compression::Gzip, Some(6))?;
/// assert!(name.starts_with("gzip/zlib-rs-") && name.ends_with("/level-6/block-1MiB"));
/// # Ok::<(), transship_codec::Error>(())
/// ```
pub fn recipe(compression: Compression, level: Option<i32>) -> Result<String, Error> {
    let level = compression.checked_level(level)?;
    match compression {
        Compression::None => Ok("none".to_owned()),
        Compression::Gzip => {
            let made = Digest::sha256(&gzip::probe(&probe_text(), level)?);
            let print: String = made.encoded().chars().take(8).collect();
            Ok(format!("gzip/zlib-rs-{print}/level-{level}/block-{}MiB", gzip::BLOCK >> 20))
        }
        Compression::Zstd => Ok(format!("zstd/libzstd-{}/level-{level}", zstd::version()?)),
    }
}

/// 128 KiB in which there is something to find for every strategy: runs, repeats near and far, and noise.
fn probe_text() -> Vec<u8> {
    const LENGTH: usize = 128 << 10;
    let mut text = Vec::with_capacity(LENGTH + 64);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while text.len() < LENGTH {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let number = state >> 40;
        match number % 7 {
            0 => text.extend_from_slice(&state.to_le_bytes()),
            1 => text.extend(std::iter::repeat_n(b' ', (number / 7 % 40) as usize)),
            _ => text.extend_from_slice(format!("usr/share/doc/package-{}\n", number % 509).as_bytes()),
        }
    }
    text.truncate(LENGTH);
    text
}
