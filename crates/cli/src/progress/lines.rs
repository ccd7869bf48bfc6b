//! Progress where there is no terminal: a line now and then for people, one event a line for programs.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Doing, Item, Moved};
use crate::show;

/// Lines for people come this far apart.
const PACE: Duration = Duration::from_secs(5);
/// After so long without a word, people are told what is waited for.
const SILENCE: Duration = Duration::from_secs(8);
/// Events for programs come this far apart.
const FAST_PACE: Duration = Duration::from_millis(500);

/// What is told of the transfers under way.
#[derive(Debug)]
pub(super) struct Lines {
    json: bool,
    total: Option<u64>,
    done: u64,
    begun: Instant,
    told: Instant,
    open: HashMap<String, Open>,
}

#[derive(Debug)]
struct Open {
    name: String,
    size: Option<u64>,
    moved: Moved,
}

impl Lines {
    pub(super) fn new(json: bool) -> Self {
        let now = Instant::now();
        Self { json, total: None, done: 0, begun: now, told: now, open: HashMap::new() }
    }

    pub(super) fn begin(&mut self, bytes: Option<u64>) {
        let now = Instant::now();
        (self.total, self.done, self.begun, self.told) = (bytes, 0, now, now);
        if self.json {
            print(&event("begin", json!({ "bytes": bytes })));
        }
    }

    pub(super) fn started(&mut self, item: Item<'_>) {
        if self.json {
            print(&event("started", json!({ "item": item.key, "name": item.name, "size": item.size })));
        }
        if let Some(known) = self.open.get_mut(item.key) {
            known.moved.again();
            return;
        }
        let open = Open { name: item.name.to_owned(), size: item.size, moved: Moved::default() };
        self.open.insert(item.key.to_owned(), open);
    }

    pub(super) fn advanced(&mut self, key: &str, bytes: u64) {
        if let Some(open) = self.open.get_mut(key) {
            self.done += open.moved.advance(bytes, open.size);
        }
        let pace = if self.json { FAST_PACE } else { PACE };
        if self.told.elapsed() >= pace {
            self.told = Instant::now();
            print(&if self.json { self.event() } else { self.line() });
        }
    }

    /// Gives what it was called, and its bytes.
    pub(super) fn finished(&mut self, key: &str) -> Option<(String, u64)> {
        let mut open = self.open.remove(key)?;
        let moved = open.moved.done();
        // What did not have to be moved is done, too.
        self.done += open.moved.finish(open.size);
        if self.json {
            print(&event("finished", json!({ "item": key, "bytes": moved })));
            return None;
        }
        Some((open.name, moved.max(open.size.unwrap_or_default())))
    }

    /// Something was said.
    pub(super) fn heard(&mut self) {
        self.told = Instant::now();
    }

    /// Some time has passed: after a long silence it is said what is waited for.
    pub(super) fn tick(&mut self, doing: &Doing) {
        if self.told.elapsed() < SILENCE {
            return;
        }
        self.told = Instant::now();
        print(&if self.json { self.waiting_event(doing) } else { self.waiting_line(doing) });
    }

    fn waiting_event(&self, doing: &Doing) -> String {
        let items: HashMap<_, _> = self.open.iter().map(|(key, open)| (key, open.moved.done())).collect();
        let (bytes, total) = (self.done, self.total);
        let Doing { host, requests } = doing;
        event(
            "waiting",
            json!({ "bytes": bytes, "total": total, "items": items, "host": host, "requests": requests }),
        )
    }

    fn waiting_line(&self, doing: &Doing) -> String {
        let mut names: Vec<&str> = self.open.values().map(|open| &*open.name).collect();
        names.sort_unstable();
        let what = match names.as_slice() {
            [] => return doing.to_string(),
            [one] => (*one).to_owned(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        let from = doing.host.as_ref().map(|host| format!(", {host} was asked last")).unwrap_or_default();
        let done = show::bytes(self.done);
        match self.total.filter(|total| *total >= self.done && *total > 0) {
            Some(total) => format!("{done} of {}; waiting for {what}{from}", show::bytes(total)),
            None => format!("{done}; waiting for {what}{from}"),
        }
    }

    /// It did not arrive.
    pub(super) fn gone(&mut self, key: &str) {
        if self.open.remove(key).is_some() && self.json {
            print(&event("failed", json!({ "item": key })));
        }
    }

    fn line(&self) -> String {
        let time = self.begun.elapsed();
        let rate = self.done as f64 / time.as_secs_f64().max(0.001);
        let done = show::bytes(self.done);
        match self.total.filter(|total| *total >= self.done && *total > 0) {
            Some(total) => {
                let left = Duration::try_from_secs_f64((total - self.done) as f64 / rate.max(1.0))
                    .unwrap_or_default();
                let percent = u128::from(self.done) * 100 / u128::from(total);
                let (total, left) = (show::bytes(total), show::duration(left));
                format!("{done} of {total} ({percent} %), {left} left")
            }
            None => format!("{done} in {}", show::duration(time)),
        }
    }

    fn event(&self) -> String {
        let items: HashMap<_, _> = self.open.iter().map(|(key, open)| (key, open.moved.done())).collect();
        event("progress", json!({ "bytes": self.done, "total": self.total, "items": items }))
    }
}

/// An event as a line of JSON: its name first.
pub(super) fn event(name: &str, content: Value) -> String {
    let mut text = format!("{{\"event\":{}", json!(name));
    if let Value::Object(members) = content {
        for (key, value) in members {
            text.push_str(&format!(",{}:{value}", json!(key)));
        }
    }
    text.push('}');
    text
}

fn print(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_begins_with_its_name() {
        let line = event("note", json!({ "text": "a\nb\u{1b}" }));
        assert_eq!(line, "{\"event\":\"note\",\"text\":\"a\\nb\\u001b\"}");
    }

    #[test]
    fn a_line_tells_how_far_it_is() {
        let mut lines = Lines::new(false);
        lines.begin(Some(4096));
        lines.started(Item { key: "a", name: "layer a", size: Some(4096) });
        lines.advanced("a", 1024);
        assert!(lines.line().starts_with("1.0 KiB of 4.0 KiB (25 %), "), "{}", lines.line());
        lines.begin(None);
        assert!(lines.line().starts_with("0 B in "), "{}", lines.line());
    }

    #[test]
    fn u25_it_never_goes_back_and_says_what_it_waits_for() {
        let mut lines = Lines::new(false);
        lines.begin(Some(4096));
        let item = Item { key: "a", name: "layer a", size: Some(2048) };
        lines.started(item);
        lines.advanced("a", 1024);
        // It begins anew, and what came before comes again.
        lines.started(item);
        lines.advanced("a", 512);
        assert_eq!(lines.done, 1024);
        lines.advanced("a", 1024);
        assert_eq!(lines.done, 1536);
        let doing = Doing { host: Some("r.example".to_owned()), requests: 7 };
        assert_eq!(
            lines.waiting_line(&doing),
            "1.5 KiB of 4.0 KiB; waiting for layer a, r.example was asked last"
        );
        // More than there is does not come, and what is mounted is done.
        lines.advanced("a", 4096);
        assert_eq!(lines.done, 2048);
        lines.finished("a");
        lines.started(Item { key: "b", name: "layer b", size: Some(2048) });
        lines.finished("b");
        assert_eq!(lines.done, 4096);
        assert_eq!(lines.waiting_line(&doing), "waiting for r.example, after 7 requests");
        let nobody = Doing { host: None, requests: 0 };
        assert_eq!(lines.waiting_line(&nobody), "still at work");
        lines.heard();
        lines.tick(&doing);
    }
}
