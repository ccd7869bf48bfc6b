//! Progress where there is no terminal: a line now and then for people, one event a line for programs.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Item;
use crate::show;

/// Lines for people come this far apart.
const PACE: Duration = Duration::from_secs(5);
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
    done: u64,
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
        let open = Open { name: item.name.to_owned(), size: item.size, done: 0 };
        self.open.insert(item.key.to_owned(), open);
    }

    pub(super) fn advanced(&mut self, key: &str, bytes: u64) {
        self.done += bytes;
        if let Some(open) = self.open.get_mut(key) {
            open.done += bytes;
        }
        let pace = if self.json { FAST_PACE } else { PACE };
        if self.told.elapsed() >= pace {
            self.told = Instant::now();
            print(&if self.json { self.event() } else { self.line() });
        }
    }

    /// Gives what it was called, and its bytes.
    pub(super) fn finished(&mut self, key: &str) -> Option<(String, u64)> {
        let open = self.open.remove(key)?;
        if self.json {
            print(&event("finished", json!({ "item": key, "bytes": open.done })));
            return None;
        }
        Some((open.name, open.done.max(open.size.unwrap_or_default())))
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
        let items: HashMap<_, _> = self.open.iter().map(|(key, open)| (key, open.done)).collect();
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
}
