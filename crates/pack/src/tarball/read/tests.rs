//! The reader against tars of all sorts, good and bad.

use std::process::Command;

use proptest::prelude::*;

use super::*;

type Found = Result<Vec<(Entry, Vec<u8>)>, Fault>;

fn entries(tar: &[u8], step: usize) -> Found {
    let mut reader = Reader::new(io::BufReader::with_capacity(step, tar));
    let mut found = Vec::new();
    while let Some(entry) = reader.next()? {
        let mut content = Vec::new();
        loop {
            let chunk = reader.chunk()?;
            if chunk.is_empty() {
                break;
            }
            content.extend_from_slice(chunk);
            let count = chunk.len();
            reader.consume(count);
        }
        found.push((entry, content));
    }
    Ok(found)
}

fn invalid(tar: &[u8], reason: &str) {
    match entries(tar, 4096) {
        Err(Fault::Invalid(found)) => assert!(found.contains(reason), "{found}"),
        other => panic!("{reason}: {other:?}"),
    }
}

/// A header by another's writer, changed and sealed.
fn block(path: &str, flag: u8, size: u64, change: impl FnOnce(&mut [u8; BLOCK])) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path).unwrap();
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    change(header.as_mut_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn with(flag: u8, content: &[u8]) -> Vec<u8> {
    let mut tar = block("x", flag, content.len() as u64, |_| {});
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    tar
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

#[test]
fn case_t12_the_size_in_pax_counts_before_the_header() {
    let tar =
        [with(b'x', b"10 size=3\n"), block("a", b'0', 700, |_| {}), b"abc".to_vec(), vec![0; 509], end()];
    let found = entries(&tar.concat(), 100).unwrap();
    assert_eq!((found.len(), &found[0].1[..]), (1, &b"abc"[..]));
    let tar = [with(b'x', b"12 size=512\n"), block("a", b'5', 0, |_| {}), block("b", b'0', 0, |_| {}), end()];
    assert_eq!(entries(&tar.concat(), 100).unwrap().len(), 2, "a folder has no content");
}

#[test]
fn case_t13_pax_before_a_long_name_is_of_the_entry() {
    let tar = [
        with(b'x', b"12 size=512\n11 path=p\n"),
        with(b'L', b"long\0"),
        block("a", b'0', 0, |_| {}),
        block("content", b'0', 0, |_| {}),
        block("b", b'0', 0, |_| {}),
        end(),
    ];
    let found = entries(&tar.concat(), 4096);
    assert!(found.is_err(), "11 path=p is no record");
    let tar = [
        with(b'x', b"12 size=512\n10 path=p\n"),
        with(b'L', b"long\0"),
        block("a", b'0', 0, |_| {}),
        block("content", b'0', 0, |_| {}),
        block("b", b'0', 0, |_| {}),
        end(),
    ];
    let found = entries(&tar.concat(), 4096).unwrap();
    let paths: Vec<_> = found.iter().map(|(entry, _)| entry.path.clone()).collect();
    assert_eq!(paths, [b"long".to_vec(), b"b".to_vec()]);
    assert_eq!(found[0].1.len(), 512);
}

#[test]
fn case_t15_sizes_that_are_none_are_refused() {
    let size = |field: [u8; 12]| block("a", b'0', 0, |block| block[124..136].copy_from_slice(&field));
    invalid(&size(*b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "size that is no number");
    invalid(&size(*b"\x80\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"), "size that is no number");
    invalid(&size(*b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "size that is no number");
    invalid(&size(*b"-0000000001\0"), "size that is no number");
    invalid(&size(*b"00000000008\0"), "size that is no number");
    let huge = entries(&size(*b"\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"), 64);
    assert!(matches!(huge, Err(Fault::Truncated { .. })), "{huge:?}");
}

#[test]
fn case_t16_ends_of_all_sorts() {
    let file = block("a", b'0', 3, |_| {});
    let body = [b"abc".to_vec(), vec![0; 509]].concat();
    let count = |tar: &[u8]| entries(tar, 4096).map(|found| found.len());
    assert_eq!(count(&[&file[..], &body, &end()].concat()).unwrap(), 1);
    assert_eq!(count(&[&file[..], &body].concat()).unwrap(), 1, "no end mark");
    assert_eq!(count(&[&file[..], b"abc"].concat()).unwrap(), 1, "no padding");
    assert_eq!(count(&[&file[..], &body, &[0; 512]].concat()).unwrap(), 1, "half a mark");
    assert!(matches!(count(&[&file[..], b"ab"].concat()), Err(Fault::Truncated { .. })));
    assert!(matches!(count(&file[..100]), Err(Fault::Truncated { .. })));
    assert!(matches!(count(&[&file[..], &body, &[0; 100]].concat()), Err(Fault::Truncated { .. })));
    invalid(&[&file[..], &body, &[0; 512], &file, &body, &end()].concat(), "zeros stands before");
    let whole = [&file[..], &body, &end(), &file, &body, &end()].concat();
    let mut reader = Reader::new(&whole[..]);
    while reader.next().unwrap().is_some() {}
    assert!(!reader.lacks_end_mark());
    assert_eq!(reader.drain().unwrap(), 2048, "what is behind the mark is counted, not read as entries");
}

#[test]
fn case_t23_ids_that_no_file_can_have_are_refused() {
    for (records, reason) in [
        (&b"18 uid=4294967296\n"[..], "a user ID"),
        (b"18 uid=4294967295\n", "a user ID"),
        (b"18 gid=4294967295\n", "a group ID"),
        (b"10 uid=-1\n", "a PAX user ID"),
    ] {
        invalid(&[with(b'x', records), block("a", b'0', 0, |_| {}), end()].concat(), reason);
    }
    let negative = |block: &mut [u8; BLOCK]| block[108..116].fill(0xff);
    invalid(&[block("a", b'0', 0, negative), end()].concat(), "a user ID");
    let before = |block: &mut [u8; BLOCK]| block[136..148].fill(0xff);
    let found = entries(&[block("a", b'0', 0, before), end()].concat(), 4096).unwrap();
    assert_eq!(found[0].0.mtime, Time { seconds: -1, nanos: 0 });
}

#[test]
fn records_for_all_entries_may_only_comment() {
    let tar = [with(b'g', b"13 comment=a\n"), block("a", b'0', 0, |_| {}), end()].concat();
    assert_eq!(entries(&tar, 4096).unwrap().len(), 1);
    let tar = [with(b'g', b"10 path=a\n"), block("a", b'0', 0, |_| {}), end()].concat();
    assert!(matches!(entries(&tar, 4096), Err(Fault::Unsupported(_))));
}

#[test]
fn extended_headers_are_bounded() {
    for flag in [b'x', b'g', b'L', b'K'] {
        let tar = block("x", flag, 2 << 20, |_| {});
        assert!(matches!(entries(&tar, 4096), Err(Fault::Limit { .. })));
    }
}

/// A file with holes, as GNU tar writes it.
fn by_gnu(arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("sparse")).unwrap();
    for number in 0..60_u64 {
        std::os::unix::fs::FileExt::write_at(&file, &[7; 5000], number << 20).unwrap();
    }
    file.set_len(100 << 20).unwrap();
    let mut command = Command::new("tar");
    let output = command.args(arguments).args(["-cSf", "-", "sparse"]).current_dir(&folder).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn img_114_case_t18_sparse_files_of_all_four_forms_are_read() {
    for arguments in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let tar = by_gnu(arguments);
        assert!(tar.len() < 2 << 20, "{arguments:?}: this file system has holes");
        for step in [100, 100_000] {
            let found = entries(&tar, step).unwrap();
            let (entry, content) = &found[0];
            assert_eq!((entry.path.as_slice(), entry.size), (&b"sparse"[..], 100 << 20), "{arguments:?}");
            let extents = entry.extents.as_ref().unwrap();
            let stored: u64 = extents.iter().map(|extent| extent.len).sum();
            assert_eq!(stored, content.len() as u64);
            let mut at = 0;
            for extent in extents.iter().filter(|extent| extent.len > 0) {
                assert_eq!(extent.offset % (1 << 20), 0);
                let (data, rest) = content[at..at + extent.len as usize].split_at(5000);
                assert!(data.iter().all(|byte| *byte == 7) && rest.iter().all(|byte| *byte == 0));
                at += extent.len as usize;
            }
        }
    }
}

#[test]
fn names_and_numbers_of_other_writers_are_read() {
    let mut builder = tar::Builder::new(Vec::new());
    let long = format!("{}file", "long/".repeat(60));
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o100_755);
    header.set_uid(u64::from(u32::MAX) - 1);
    builder.append_data(&mut header, &long, &b"c"[..]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "link", &long).unwrap();
    let tar = builder.into_inner().unwrap();
    for step in [1, 512, 8192] {
        let found = entries(&tar, step).unwrap();
        assert_eq!(found[0].0.path, long.as_bytes());
        assert_eq!((found[0].0.uid, found[0].0.mode), (u32::MAX - 1, 0o755));
        assert_eq!(found[1].0.kind, EntryKind::Symlink(long.clone().into_bytes()));
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..3000), flip in 0_usize..3000, bit in 0_u8..8,
    ) {
        let _ = entries(&bytes, 333);
        let records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n29 GNU.sparse.realsize=10000\n";
        let list = [&b"1\n0\n4\n"[..], &[b'x'; 506], b"data"].concat();
        let mut tar = [with(b'x', records), with(b'0', &list), with(b'L', b"l"), with(b'0', b"c"), end()].concat();
        let flip = flip.min(tar.len() - 1);
        tar[flip] ^= 1 << bit;
        // The header's sum is put right again, so that what it says is looked at.
        for at in (0..tar.len()).step_by(BLOCK) {
            if &tar[at + 257..at + 262] == b"ustar" {
                let header = tar::Header::from_byte_slice(&tar[at..at + BLOCK]);
                let mut header = header.clone();
                header.set_cksum();
                tar[at..at + BLOCK].copy_from_slice(header.as_bytes());
            }
        }
        let _ = entries(&tar, 333);
    }
}
