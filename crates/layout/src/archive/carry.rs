//! Bytes from one file to another without a look at them.
//!
//! The kernel moves them where it can, and a file system that shares blocks moves none, as far as both places lie alike
//! within their blocks. Nothing is verified: who carries what was there already does not vouch for it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Where file systems that share blocks can begin to, in bytes.
const ALIGNED: u64 = 4096;
/// Bytes that are read and written in one go where the kernel does not move them.
const PIECE: usize = 256 << 10;

/// Who has moved bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Carried {
    /// The kernel: they were not read by this program.
    ByKernel,
    /// This program, for at least a part of them.
    ByHand,
}

/// A place in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) file: &'a File,
    pub(super) offset: u64,
}

impl At<'_> {
    fn further(self, count: u64) -> Self {
        Self { offset: self.offset + count, ..self }
    }
}

/// Moves `size` bytes. The outer errors are those of writing, the inner ones of reading.
pub(super) fn carry(from: At<'_>, to: At<'_>, size: u64) -> io::Result<io::Result<Carried>> {
    // Up to where blocks begin, so that what follows can be shared.
    let first = match from.offset % ALIGNED == to.offset % ALIGNED {
        true => from.offset.next_multiple_of(ALIGNED) - from.offset,
        false => 0,
    };
    let first = first.min(size);
    let mut done = by_kernel(from, to, first)?;
    if done == first {
        done += by_kernel(from.further(done), to.further(done), size - done)?;
    }
    if done == size {
        return Ok(Ok(Carried::ByKernel));
    }
    let rest = by_hand(from.further(done), to.further(done), size - done)?;
    Ok(rest.map(|()| Carried::ByHand))
}

/// How many bytes the kernel has moved: all of them, or as many as it can.
#[cfg(target_os = "linux")]
fn by_kernel(from: At<'_>, to: At<'_>, size: u64) -> io::Result<u64> {
    use rustix::io::Errno;
    let mut done = 0;
    while done < size {
        let (mut source, mut target) = (from.offset + done, to.offset + done);
        let most = usize::try_from(size - done).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from.file, Some(&mut source), to.file, Some(&mut target), most) {
            Ok(0) => return Ok(done),
            Ok(count) => done += count as u64,
            Err(Errno::INTR) => {}
            // There is no room for what is written by hand, either.
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => return Err(error.into()),
            // Between file systems that do not do it, in old kernels, or where the source cannot be read, as is then told.
            Err(_) => return Ok(done),
        }
    }
    Ok(done)
}

#[cfg(not(target_os = "linux"))]
fn by_kernel(_: At<'_>, _: At<'_>, _: u64) -> io::Result<u64> {
    Ok(0)
}

fn by_hand(from: At<'_>, to: At<'_>, size: u64) -> io::Result<io::Result<()>> {
    let mut piece = vec![0; PIECE.min(usize::try_from(size).unwrap_or(PIECE))];
    let mut done = 0;
    while done < size {
        let most = usize::try_from(size - done).unwrap_or(PIECE).min(PIECE);
        if let Err(error) = from.file.read_exact_at(&mut piece[..most], from.offset + done) {
            return Ok(Err(error));
        }
        to.file.write_all_at(&piece[..most], to.offset + done)?;
        done += most as u64;
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        file
    }

    #[test]
    fn bytes_come_as_they_are_whoever_moves_them_and_wherever_they_lie() {
        let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let from = file(&content);
        for (source, target, size) in
            [(0, 0, 400_000), (512, 512, 300_000), (1024, 4096 + 512, 300_000), (512, 4608, 100), (7, 9, 0)]
        {
            let to = file(&[]);
            let at = |file, offset| At { file, offset };
            assert_eq!(carry(at(&from, source), at(&to, target), size).unwrap().unwrap(), Carried::ByKernel);
            let by_hand_to = file(&[]);
            by_hand(at(&from, source), at(&by_hand_to, target), size).unwrap().unwrap();
            for to in [to, by_hand_to] {
                let mut came = vec![0; usize::try_from(size).unwrap()];
                to.read_exact_at(&mut came, target).unwrap();
                let source = usize::try_from(source).unwrap();
                assert_eq!(came, content[source..source + came.len()], "{source} {target} {size}");
            }
        }
        let short = carry(At { file: &from, offset: 399_000 }, At { file: &file(&[]), offset: 0 }, 4096);
        assert_eq!(short.unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
