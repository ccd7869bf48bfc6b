//! Several processes on one layout, some of which are killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use transship_layout::{Layout, graph};
use transship_spec::Kind;

use crate::support::{layout, manifest, put, short, text};

/// Names the role of a process that a test has started from its own executable.
const ROLE: &str = "TRANSSHIP_TEST_ROLE";

/// This executable again, in another role. `through` is a program that starts it, with its arguments.
pub(crate) fn process(through: &[&str], role: &str, path: &Path, argument: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut words = through.iter().map(std::ffi::OsStr::new).chain([this.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["processes::another_process", "--exact", "--nocapture"]);
    command.env(ROLE, role).env("LAYOUT", path).env("ARGUMENT", argument);
    command
}

fn start(role: &str, path: &Path, argument: &str) -> Child {
    let mut command = process(&[], role, path, argument);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// What a process says to the test that started it: lines of two words.
fn say(word: &str, what: &str) {
    // Not by `println!`, which the test harness may hold back.
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n@{word} {what}").unwrap();
    out.flush().unwrap();
}

fn said(line: &str, word: &str) -> Option<String> {
    line.strip_prefix('@')?.strip_prefix(word).map(|rest| rest.trim().to_owned())
}

/// Not a test of its own: what a process does that another test has started.
#[test]
fn another_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (path, argument) = (std::env::var("LAYOUT").unwrap(), std::env::var("ARGUMENT").unwrap());
    let path = Path::new(&path);
    match role.as_str() {
        "tag" => {
            let layout = Layout::options().open_or_create(path).unwrap();
            for name in argument.split(',') {
                put(&layout, name);
                say("done", name);
            }
        }
        "same" => {
            let layout = Layout::options().open(path).unwrap();
            let session = layout.begin().unwrap();
            let image = manifest(&session, &argument, None);
            session.commit(|index| index.set(&short("same"), &image)).unwrap();
            say("done", &image.digest.to_string());
        }
        "work" => {
            let layout = Layout::options().open(path).unwrap();
            for n in 0.. {
                work(&layout, &format!("{argument}-{n}"));
                say("done", &format!("{argument}-{n}"));
            }
        }
        "hold" => {
            let layout = Layout::options().open(path).unwrap();
            let session = layout.begin().unwrap();
            session.put_bytes(text(), b"held").unwrap();
            let hold = |_: &mut transship_layout::IndexEdit<'_>| {
                say("held", "");
                std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
                Ok(())
            };
            session.commit(hold).unwrap();
        }
        "sound" => assert_sound(path),
        other => crate::storage::role(other, path),
    }
}

/// An operation of the kinds that a crash may hit: small and large blobs, a download, a name.
fn work(layout: &Layout, name: &str) {
    let session = layout.begin().unwrap();
    let mut large = session.writer(None).unwrap();
    for piece in 0..24u8 {
        large.push(&vec![piece; 64 << 10]).unwrap();
    }
    large.push(name.as_bytes()).unwrap();
    large.commit().unwrap();
    let data = name.repeat(1000);
    let expected = transship_spec::Descriptor::of(text(), data.as_bytes());
    if let Some(mut partial) = session.partial(&expected).unwrap() {
        let held = usize::try_from(partial.held()).unwrap();
        partial.push(&data.as_bytes()[held..]).unwrap();
        partial.commit().unwrap();
    }
    for n in 0..12 {
        session.put_bytes(text(), format!("{name} {n}").as_bytes()).unwrap();
    }
    let image = manifest(&session, name, None);
    session.commit(|index| index.set(&short(name), &image)).unwrap();
}

/// What must hold after whatever happened: the index parses, everything that it leads to is there and right, nothing
/// strange lies about.
fn assert_sound(path: &Path) {
    let layout = Layout::options().open_read_only(path).unwrap();
    let roots: Vec<_> = layout.entries().unwrap().into_iter().map(|entry| entry.descriptor).collect();
    graph::walk(&layout, &roots, &mut |node| {
        assert_eq!(node.presence, graph::Presence::Present, "{}", node.descriptor);
        Ok(())
    })
    .unwrap();
    for file in layout.blobs().unwrap() {
        let file = file.unwrap();
        let digest = file.digest.unwrap_or_else(|| panic!("a stray file {}", file.path.display()));
        let blob = transship_spec::Descriptor::new(text(), digest, file.size);
        layout.open_blob(&blob).unwrap().read_to_end(&mut Vec::new()).unwrap();
    }
    for entry in std::fs::read_dir(path).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(["oci-layout", "index.json", "blobs", ".transship"].contains(&name.as_str()), "{name}");
    }
}

fn names(layout: &Layout) -> BTreeSet<String> {
    layout.entries().unwrap().iter().filter_map(|entry| entry.name().map(str::to_owned)).collect()
}

#[test]
fn row_17_twelve_threads_with_names_of_their_own_lose_none() {
    let (folder, layout) = layout();
    std::thread::scope(|scope| {
        for n in 0..12 {
            let layout = &layout;
            scope.spawn(move || {
                put(layout, &format!("{n}-a"));
                put(layout, &format!("{n}-b"));
            });
        }
    });
    assert_eq!(names(&layout).len(), 24);
    assert_sound(folder.path());
    assert!(!folder.path().join(".transship").exists());
}

#[test]
fn row_17_twelve_processes_with_names_of_their_own_lose_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made by whoever comes first");
    let argument = |n: usize| (0..5).map(|m| format!("{n}-{m}")).collect::<Vec<_>>().join(",");
    let processes: Vec<_> = (0..12).map(|n| start("tag", &path, &argument(n))).collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(names(&Layout::options().open(&path).unwrap()).len(), 60);
    assert_sound(&path);
    assert!(!path.join(".transship").exists(), "the last one tidies up");
}

#[test]
fn row_18_twelve_processes_with_one_name_have_one_whole_winner() {
    let (folder, layout) = layout();
    let processes: Vec<_> = (0..12).map(|n| start("same", folder.path(), &n.to_string())).collect();
    let mut digests = Vec::new();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        digests.extend(String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| said(line, "done")));
    }
    let winner = layout.resolve(None).unwrap();
    assert_eq!((winner.name(), digests.len()), (Some("same"), 12));
    assert!(digests.contains(&winner.descriptor.digest.to_string()));
    for digest in digests {
        assert!(layout.size(&digest.parse().unwrap()).unwrap().is_some(), "the loser's blobs are there too");
    }
    assert_sound(folder.path());
}

#[test]
fn row_20_a_reader_always_sees_a_valid_index() {
    let (folder, layout) = layout();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..40 {
                put(&layout, &format!("n{n}"));
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut most = 0;
        while !done.load(Ordering::Relaxed) {
            let reader = Layout::options().open_read_only(folder.path()).unwrap();
            let entries = reader.entries().unwrap();
            assert!(entries.len() >= most, "names do not go away");
            most = entries.len();
            if let Some(last) = entries.last() {
                reader.read_document(&last.descriptor).unwrap();
            }
        }
    });
    assert_eq!(names(&layout).len(), 40);
}

#[test]
fn row_21_22_a_lock_is_waited_for_while_its_process_lives_and_free_when_it_is_killed() {
    let (folder, layout) = layout();
    put(&layout, "v1");
    let mut process = start("hold", folder.path(), "");
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| said(&line, "held").is_some()));
    let hasty = Layout::options().lock_wait(Duration::from_millis(30)).open(folder.path()).unwrap();
    let error = hasty.edit(|index| index.remove(&short("v1"))).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains(&format!("process {} on ", process.id())), "{error}");
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join(".transship/leases")).unwrap().count(), 1);
    assert!(hasty.edit(|index| index.remove(&short("v1"))).unwrap());
    assert!(!folder.path().join(".transship").exists(), "what the dead left is swept");
}

#[test]
fn row_1_2_3_a_process_killed_at_any_time_leaves_a_sound_layout_and_loses_nothing_acknowledged() {
    let (folder, layout) = layout();
    let mut acknowledged = BTreeSet::new();
    for round in 0..24u64 {
        let mut process = start("work", folder.path(), &format!("r{round}"));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut wait = round % 3;
        while wait > 0 {
            if let Some(name) = lines.next().and_then(|line| said(&line, "done")) {
                acknowledged.insert(name);
                wait -= 1;
            }
        }
        // Killed somewhere within the next operation, or before the first.
        std::thread::sleep(Duration::from_micros(round * round * 170 % 60_000));
        process.kill().unwrap();
        process.wait().unwrap();
        acknowledged.extend(lines.filter_map(|line| said(&line, "done")));
        assert_sound(folder.path());
        assert!(acknowledged.is_subset(&names(&layout)), "round {round}");
    }
    assert!(acknowledged.len() > 10, "{acknowledged:?}");
    work(&layout, "last");
    assert_sound(folder.path());
    let left = |kind: &str| {
        std::fs::read_dir(folder.path().join(".transship").join(kind)).map_or(0, Iterator::count)
    };
    assert_eq!((left("tmp"), left("leases")), (0, 0));
}

#[test]
fn writers_of_the_same_blobs_do_not_take_each_others_for_vanished() {
    let (folder, layout) = layout();
    for round in 0..6 {
        std::fs::remove_dir_all(folder.path().join("blobs/sha256")).unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let layout = &layout;
                scope.spawn(move || {
                    let session = layout.begin().unwrap();
                    let blobs: Vec<_> = (0..20u8).map(|n| session.put_bytes(text(), &[n]).unwrap()).collect();
                    session.commit(|index| index.set(&short(&format!("{round}-{n}")), &blobs[0])).unwrap();
                });
            }
        });
    }
    assert_eq!(names(&layout).len(), 48);
}
