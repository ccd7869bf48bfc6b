//! The language of specifications: what is read, what is refused and where, and that what was printed is read.

use proptest::prelude::*;
use transship_pack::mtree::{Entry, HEADER, MAX_LINE, Time, Type, parse};
use transship_spec::Digest;

/// What a specification says, printed anew.
fn printed(text: &str) -> String {
    let mut out = Vec::new();
    parse(text.as_bytes()).unwrap().iter().for_each(|entry| entry.print(&mut out));
    String::from_utf8(out).unwrap()
}

#[test]
fn every_form_of_a_specification_is_read() {
    let hash = "0123456789abcdef".repeat(4);
    let digests = format!("./a type=file sha256digest={hash}\n");
    for (text, expected) in [
        ("", ""),
        ("#mtree\n\n   # a comment \\\n\t\n", ""),
        ("#mtree v2.0\r\n./a type=file\r\n", "./a type=file\n"),
        ("./a", "./a\n"),
        // Full paths.
        (
            "./a/b type=dir\na/b/c type=file\n./a//./b/d/ type=dir\n",
            "./a/b type=dir\n./a/b/c type=file\n./a/b/d type=dir\n",
        ),
        (". type=dir mode=755\n./x\n", ". type=dir mode=0755\n./x\n"),
        // Names in the folder that was named last.
        (
            ".   type=dir\n    a type=file\n    d type=dir\n        b\n        e type=dir\n        ..\n    ..\n    z\n..\n",
            ". type=dir\n./a type=file\n./d type=dir\n./d/b\n./d/e type=dir\n./z\n",
        ),
        ("d type=dir\n./x/y\nz\n..\nw", "./d type=dir\n./x/y\n./d/z\n./w\n"),
        // Defaults.
        (
            "/set type=file uid=1 mode=0644\na\nb uid=2\n/set uid=3\nc\n/unset mode\nd\n/unset all\ne\n",
            "./a type=file mode=0644 uid=1\n./b type=file mode=0644 uid=2\n./c type=file mode=0644 uid=3\n\
             ./d type=file uid=3\n./e\n",
        ),
        // A path that is named again.
        ("./a uid=1 gid=1\n./b\n/set mode=7\n./a gid=2", "./a uid=1 gid=2\n./b\n"),
        // Lines that go on.
        ("./a type=file \\\n  mode=0644 \\\n  uid=1\n./b\n", "./a type=file mode=0644 uid=1\n./b\n"),
        ("./a\\\\\n./b", "./a\\134\n./b\n"),
        // Names that are no plain ASCII.
        (
            "./a\\040b\n./gr\\303\\274n\n./\\377\n./[slug].js",
            "./a\\040b\n./gr\\303\\274n\n./\\377\n./\\133slug\\135.js\n",
        ),
        ("./grün", "./gr\\303\\274n\n"),
        // Keywords.
        ("./a mode=4755 time=1.5 size=7", "./a mode=4755 time=1.000000005 size=7\n"),
        ("./a time=-1\n./b time=1672560000.000000", "./a time=-1.000000000\n./b time=1672560000.000000000\n"),
        ("./a uname=root gname=root\n./b uname=www uid=33", "./a uid=0 gid=0\n./b uid=33\n"),
        ("./a type=link link=../x\\040y", "./a type=link link=../x\\040y\n"),
        ("./a contents=out/a\n./b content=/out/b", "./a content=out/a\n./b content=/out/b\n"),
        (
            "./a device=native,0x1,03\n./b device=linux,8,1\n./c device=259\n./d device=0x103",
            "./a device=native,1,3\n./b device=native,8,1\n./c device=native,1,3\n./d device=native,1,3\n",
        ),
        ("./a nlink=2 inode=7 resdevice=freebsd,1,2", "./a nlink=2 inode=7 resdevice=native,1,2\n"),
        ("./a optional ignore nochange", "./a optional ignore\n"),
        (
            "./a xattr.user.b=Yg== xattr.user.a=AAE= xattr.user.\\075=",
            "./a xattr.user.\\075= xattr.user.a=AAE= xattr.user.b=Yg==\n",
        ),
        ("./a cksum=1 md5digest=x flags=uarch tags=package=base,x", "./a\n"),
        (&format!("./a type=file sha256={}", hash.to_uppercase()), &digests),
        (&format!("./a type=file sha256digest={} sha256digest={hash}", "0".repeat(64)), &digests),
    ] {
        assert_eq!(printed(text), expected, "{text}");
    }
}

#[test]
fn what_breaks_a_rule_is_named_by_line_and_column() {
    let long = format!("./a link={}", "x".repeat(MAX_LINE));
    for (text, place, reason) in [
        ("#mtree\n./a mode=rwx", (2, 5), "octal"),
        ("#mtree\n\n  ./a  uid=0  mode=10000", (3, 15), "octal"),
        ("./a mode=", (1, 5), "octal"),
        ("./a \\\n type=dir \\\n tpye=dir\n", (1, 16), "not known"),
        ("./a \\\n uid=0\n./b uid=x", (3, 5), "no number"),
        ("./a uid=4294967296", (1, 5), "no number"),
        ("./a uid=-1", (1, 5), "no number"),
        ("./a gid=+1", (1, 5), "no number"),
        ("./a type=door", (1, 5), "block, char, dir"),
        ("./a type", (1, 5), "stands alone"),
        ("./a time=1.1000000000", (1, 5), "SECONDS"),
        ("./a time=1e3", (1, 5), "SECONDS"),
        ("./a size=1.5", (1, 5), "no number"),
        ("./a device=plan9,1,2", (1, 5), "native,MAJOR,MINOR"),
        ("./a device=native,1", (1, 5), "native,MAJOR,MINOR"),
        ("./a device=native,1,4294967296", (1, 5), "native,MAJOR,MINOR"),
        ("./a device=+1", (1, 5), "native,MAJOR,MINOR"),
        ("./a sha256=abc", (1, 5), "no digest"),
        ("./a xattr.user.a=***", (1, 5), "base64"),
        ("./a xattr.=", (1, 5), "names no"),
        ("./a link=", (1, 5), "no path"),
        ("./a link=x\\000", (1, 5), "NUL"),
        ("./a\\0", (1, 1), "octal digits"),
        ("./a uname=alice", (1, 1), "write uid=NUMBER"),
        ("/etc/passwd", (1, 1), "top of the tree"),
        ("./a/../b", (1, 1), ".."),
        ("..", (1, 1), "out of the tree"),
        ("d type=dir\n..\n  ..", (3, 3), "out of the tree"),
        ("a\\057b", (1, 1), "hides a slash"),
        ("\\056\\056", (1, 1), ".."),
        ("/set mode=x", (1, 6), "octal"),
        ("/set type=file\n/set type=door", (2, 6), "block"),
        ("./a type=dir\n./b\n./a type=file", (3, 1), "line 1"),
        (&long, (1, MAX_LINE), "longer"),
    ] {
        let flaw = parse(text.as_bytes()).unwrap_err();
        assert_eq!((flaw.line, flaw.column), place, "{flaw}");
        assert!(flaw.to_string().contains(reason), "{flaw}");
        assert!(flaw.to_string().len() < 400, "{flaw}");
    }
}

#[test]
fn law_6_more_paths_than_there_may_be_are_refused() {
    let text: String = (0..=transship_pack::mtree::MAX_ENTRIES).map(|n| format!("{n}\n")).collect();
    let flaw = parse(text.as_bytes()).unwrap_err();
    assert_eq!((flaw.line, flaw.column), (1_048_577, 1), "{flaw}");
}

fn text(bytes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1_u8..=255, bytes)
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::collection::vec((1_u8..=255).prop_filter("a slash", |byte| *byte != b'/'), 1..8)
        .prop_filter("no name", |part| part != b"." && part != b"..");
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.join(&b'/'))
}

fn entry() -> impl Strategy<Value = Entry> {
    use prop::option::of;
    let kinds = [Type::Block, Type::Char, Type::Dir, Type::Fifo, Type::File, Type::Link, Type::Socket];
    let time = (any::<i64>(), 0_u32..1_000_000_000)
        .prop_filter("no negation", |(seconds, _)| *seconds != i64::MIN)
        .prop_map(|(seconds, nanoseconds)| Time { seconds, nanoseconds });
    let digests = any::<(bool, bool, u8)>().prop_map(|(one, other, seed)| {
        let (one, other) = (one.then(|| Digest::sha256(&[seed])), other.then(|| Digest::sha512(&[seed])));
        one.into_iter().chain(other).collect::<Vec<_>>()
    });
    let xattrs = prop::collection::btree_map(text(1..9), prop::collection::vec(any::<u8>(), 0..9), 0..3);
    let who = (
        path(),
        of(prop::sample::select(kinds.to_vec())),
        of(0_u32..=0o7777),
        of(any::<u32>()),
        of(any::<u32>()),
    );
    let what = (of(time), of(any::<u64>()), of(text(1..9)), of(text(1..9)), digests);
    let file = (of(any::<(u32, u32)>()), of(any::<u64>()), of(any::<u64>()), of(any::<(u32, u32)>()));
    (who, what, file, xattrs, any::<(bool, bool)>()).prop_map(
        |((path, kind, mode, uid, gid), (time, size, link, content, digests), file, xattrs, flags)| {
            let (device, nlink, inode, resdevice) = file;
            let (xattrs, (optional, ignore)) = (xattrs.into_iter().collect(), flags);
            let entry =
                Entry { path, kind, mode, uid, gid, time, size, link, content, digests, ..Entry::default() };
            Entry { device, nlink, inode, resdevice, xattrs, optional, ignore, ..entry }
        },
    )
}

proptest! {
    #[test]
    fn what_was_printed_is_parsed_to_the_same(entries in prop::collection::vec(entry(), 0..8)) {
        let mut seen = std::collections::HashSet::new();
        let entries: Vec<Entry> =
            entries.into_iter().filter(|entry| seen.insert(entry.path.clone())).collect();
        let mut text = HEADER.to_vec();
        entries.iter().for_each(|entry| entry.print(&mut text));
        prop_assert!(text.is_ascii());
        let mut parsed = parse(&text).unwrap();
        for (line, entry) in (2..).zip(&mut parsed) {
            prop_assert_eq!(std::mem::take(&mut entry.line), line);
        }
        prop_assert_eq!(parsed, entries);
    }

    #[test]
    fn no_bytes_make_it_panic_and_what_they_say_can_be_printed(
        words in prop::collection::vec(prop_oneof![
            prop::sample::select(&[
                "/set", "/unset", "all", "..", ".", "./a/b", "d", "type=dir", "type=file", "mode=0644", "\n", "\n",
                "\\\n", "\\", "uname=root", "xattr.a=AA==", "#", "\\040", "=",
            ][..]).prop_map(|word| word.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..5),
        ], 0..40),
    ) {
        if let Ok(entries) = parse(&words.join(&b' ')) {
            let mut text = Vec::new();
            entries.iter().for_each(|entry| entry.print(&mut text));
            let mut again = Vec::new();
            parse(&text).unwrap().iter().for_each(|entry| entry.print(&mut again));
            prop_assert_eq!(text, again);
        }
    }
}
