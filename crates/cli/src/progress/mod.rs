//! Standard error: progress, notes, warnings and errors, on a terminal, in a log, or for a program.
//!
//! Everything that is said goes through one [`Progress`], so that a line never lands in the middle of a bar. With `--progress
//! json` each line is one JSON object, errors included. A standard error that is closed is no reason to fail (row 59).

mod bars;
#[cfg(unix)]
mod hush;
mod lines;
mod moved;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::args::{ProgressMode, Verbosity};
use crate::environment::Environment;
use crate::exit::Failure;
use bars::Bars;
use lines::Lines;
use moved::Moved;

/// Where to say what. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    screen: Mutex<Screen>,
    json: bool,
    quiet: bool,
    verbose: bool,
    colour: bool,
    /// Requests sent so far, by host.
    requests: Mutex<BTreeMap<String, u64>>,
    /// The host that was asked last.
    asked: Mutex<Option<String>>,
    /// What registries had to say.
    warnings: Mutex<Vec<String>>,
}

/// How transfers are shown.
#[derive(Debug)]
enum Screen {
    Bars(Bars),
    Lines(Lines),
    Nothing,
}

/// What is under way: a blob, a layer, a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    /// Tells it from all others: a digest or a path.
    pub(crate) key: &'a str,
    /// As people call it: `layer 0123456789ab`.
    pub(crate) name: &'a str,
    /// Bytes, where they are known.
    pub(crate) size: Option<u64>,
}

/// What the program is waiting for, as far as it knows.
#[derive(Debug)]
struct Doing {
    /// The host that was asked last.
    host: Option<String>,
    /// Requests so far.
    requests: u64,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => {
                let requests = crate::show::count(
                    usize::try_from(self.requests).unwrap_or(usize::MAX),
                    "request",
                    "requests",
                );
                write!(f, "waiting for {host}, after {requests}")
            }
            None => f.write_str("still at work"),
        }
    }
}

impl Progress {
    pub(crate) fn new(mode: ProgressMode, verbosity: &Verbosity, environment: &Environment) -> Self {
        let mode = match mode {
            ProgressMode::Auto if environment.terminal => ProgressMode::Bar,
            ProgressMode::Auto => ProgressMode::Plain,
            mode => mode,
        };
        let screen = match mode {
            ProgressMode::Json => Screen::Lines(Lines::new(true)),
            _ if verbosity.quiet => Screen::Nothing,
            ProgressMode::Bar => Screen::Bars(Bars::new()),
            ProgressMode::Plain => Screen::Lines(Lines::new(false)),
            ProgressMode::None | ProgressMode::Auto => Screen::Nothing,
        };
        let shared = Shared {
            screen: Mutex::new(screen),
            json: mode == ProgressMode::Json,
            quiet: verbosity.quiet,
            verbose: verbosity.verbose,
            colour: environment.terminal && !environment.no_color,
            requests: Mutex::default(),
            asked: Mutex::default(),
            warnings: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Something that the user may want to know.
    pub(crate) fn note(&self, text: &str) {
        if !self.shared.quiet {
            self.say("note", None, text);
        }
    }

    /// Something that only those want to know who asked for more.
    pub(crate) fn detail(&self, text: &str) {
        if self.shared.verbose {
            self.say("detail", None, text);
        }
    }

    /// Something that is odd, left out or lost (law 11).
    pub(crate) fn warning(&self, text: &str) {
        if !self.shared.quiet {
            self.say("warning", Some(AnsiColor::Yellow), text);
        }
    }

    /// What was done, once it is.
    pub(crate) fn summary(&self, text: &str, numbers: &Value) {
        if self.shared.json {
            self.event("summary", json!({ "text": text, "numbers": numbers }));
        } else {
            self.note(text);
        }
    }

    /// Why the command failed, and what can be done about it.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = crate::show::plain(&failure.to_string());
        if self.shared.json {
            let (kind, code) = (failure.kind().name(), failure.code());
            self.event(
                "error",
                json!({ "text": text, "kind": kind, "code": code, "hint": failure.remedy() }),
            );
            return;
        }
        self.say("error", Some(AnsiColor::Red), &text);
        if let Some(hint) = failure.remedy() {
            self.say("hint", Some(AnsiColor::Cyan), &crate::show::plain(hint));
        }
    }

    /// One of several things failed, and the command goes on.
    pub(crate) fn failed(&self, what: &str, failure: &Failure) {
        self.failure(&failure.clone().doing(format!("copy {}", crate::show::plain(what))));
    }

    /// A line; a note and a detail stand for themselves, all else is called by its name.
    fn say(&self, name: &str, colour: Option<AnsiColor>, text: &str) {
        if self.shared.json {
            return self.event(name, json!({ "text": text }));
        }
        let line = match colour {
            None => text.to_owned(),
            Some(colour) if self.shared.colour => {
                let style: Style = colour.on_default().bold();
                format!("{style}{name}:{style:#} {text}")
            }
            Some(_) => format!("{name}: {text}"),
        };
        self.write(&line);
    }

    fn event(&self, name: &str, content: Value) {
        self.write(&lines::event(name, content));
    }

    fn write(&self, line: &str) {
        let print = || {
            let mut stderr = std::io::stderr().lock();
            let _ = writeln!(stderr, "{line}");
        };
        self.beside(print);
    }

    /// Prints something where it does not disturb the bars.
    pub(crate) fn beside(&self, print: impl FnOnce()) {
        match &mut *self.screen() {
            Screen::Bars(bars) => bars.beside(print),
            Screen::Lines(lines) => {
                lines.heard();
                print();
            }
            Screen::Nothing => print(),
        }
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.shared.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes are to move, all in all, as far as that is known.
    pub(crate) fn begin(&self, bytes: Option<u64>) {
        match &mut *self.screen() {
            Screen::Bars(bars) => bars.begin(bytes),
            Screen::Lines(lines) => lines.begin(bytes),
            Screen::Nothing => {}
        }
    }

    /// A transfer begins.
    pub(crate) fn started(&self, item: Item<'_>) {
        match &mut *self.screen() {
            Screen::Bars(bars) => bars.started(item),
            Screen::Lines(lines) => lines.started(item),
            Screen::Nothing => {}
        }
    }

    /// Bytes of a transfer that has begun.
    pub(crate) fn advanced(&self, key: &str, bytes: u64) {
        match &mut *self.screen() {
            Screen::Bars(bars) => bars.advanced(key, bytes),
            Screen::Lines(lines) => lines.advanced(key, bytes),
            Screen::Nothing => {}
        }
    }

    /// A transfer has ended.
    pub(crate) fn finished(&self, key: &str) {
        let done = match &mut *self.screen() {
            Screen::Bars(bars) => bars.finished(key),
            Screen::Lines(lines) => lines.finished(key),
            Screen::Nothing => None,
        };
        if let Some((name, bytes)) = done {
            self.detail(&format!("{name} done, {}", crate::show::bytes(bytes)));
        }
    }

    /// Some time has passed: what is waited for is said before somebody wonders (U25).
    pub(crate) fn tick(&self) {
        let host = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let doing = Doing { host, requests: self.requests().values().sum() };
        match &mut *self.screen() {
            Screen::Bars(bars) => bars.tick(&doing),
            Screen::Lines(lines) => lines.tick(&doing),
            Screen::Nothing => {}
        }
    }

    /// A transfer was given up.
    pub(crate) fn gone(&self, key: &str) {
        match &mut *self.screen() {
            Screen::Bars(bars) => bars.gone(key),
            Screen::Lines(lines) => lines.gone(key),
            Screen::Nothing => {}
        }
    }

    /// Takes the bars away.
    pub(crate) fn end(&self) {
        if let Screen::Bars(bars) = &mut *self.screen() {
            bars.end();
        }
    }

    pub(crate) fn count_request(&self, host: &str) {
        let mut requests = self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
        match requests.get_mut(host) {
            Some(count) => *count += 1,
            None => drop(requests.insert(host.to_owned(), 1)),
        }
        let mut asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.as_deref() != Some(host) {
            *asked = Some(host.to_owned());
        }
    }

    /// Requests sent so far, by host.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what a registry had to say for the report.
    pub(crate) fn keep_warning(&self, text: String) {
        self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// What registries had to say so far, each thing once.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
