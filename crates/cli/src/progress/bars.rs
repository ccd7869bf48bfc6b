//! Progress on a terminal: a bar a transfer, and one for all of them.
//!
//! A bar appears when its transfer has lasted for a moment: what is small would only flicker. It never goes back: what has to
//! be moved again moves the bar when it gets further than before. While there is nothing to draw a bar of, a line says what is
//! waited for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{Doing, Item, Moved};
use crate::show;

/// How long a transfer lasts before it gets a bar.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long nothing is shown before a line says why.
const QUIET: Duration = Duration::from_secs(2);

/// On narrower terminals bars say less, and below the second width there is no room for a bar at all.
const WIDE: u16 = 80;
const NARROW: u16 = 56;

/// The bars of the transfers under way.
#[derive(Debug)]
pub(super) struct Bars {
    screen: MultiProgress,
    total: Option<Bar>,
    open: HashMap<String, Bar>,
    /// Transfers that have begun; the total of one of them would only say the same.
    begun: usize,
    /// Says what is waited for, while there is no bar.
    waiting: Option<ProgressBar>,
    /// When there was something on the screen the last time.
    shown: Instant,
    #[cfg(unix)]
    hush: Option<super::hush::Hush>,
}

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    begun: Instant,
    shown: bool,
    moved: Moved,
}

impl Bars {
    pub(super) fn new() -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        Self {
            screen,
            total: None,
            open: HashMap::new(),
            begun: 0,
            waiting: None,
            shown: Instant::now(),
            #[cfg(unix)]
            hush: None,
        }
    }

    /// Prints something without disturbing the bars.
    pub(super) fn beside(&self, print: impl FnOnce()) {
        self.screen.suspend(print);
    }

    pub(super) fn begin(&mut self, bytes: Option<u64>) {
        self.total = Some(Bar::new("total", bytes));
        self.begun = 0;
    }

    pub(super) fn started(&mut self, item: Item<'_>) {
        if let Some(known) = self.open.get_mut(item.key) {
            known.moved.again();
            return;
        }
        self.begun += 1;
        self.open.insert(item.key.to_owned(), Bar::new(item.name, item.size));
    }

    pub(super) fn advanced(&mut self, key: &str, bytes: u64) {
        let Some(bar) = self.open.get_mut(key) else { return };
        let further = bar.moved.advance(bytes, bar.bar.length());
        bar.bar.inc(further);
        if let Some(total) = &self.total {
            total.bar.inc(further);
        }
        self.show(key);
    }

    /// Shows a bar whose time has come, and the total with the second.
    fn show(&mut self, key: &str) {
        let Some(bar) = self.open.get_mut(key).filter(|bar| bar.is_due()) else { return };
        if let Some(waiting) = self.waiting.take() {
            waiting.finish_and_clear();
            self.screen.remove(&waiting);
        }
        #[cfg(unix)]
        if self.hush.is_none() {
            self.hush = super::hush::Hush::now();
        }
        bar.shown = true;
        if let Some(total) = &mut self.total
            && self.begun > 1
            && total.is_due()
        {
            total.shown = true;
            total.bar = self.screen.add(total.bar.clone());
        }
        bar.bar = match self.total.as_ref().filter(|total| total.shown) {
            Some(total) => self.screen.insert_before(&total.bar, bar.bar.clone()),
            None => self.screen.add(bar.bar.clone()),
        };
    }

    /// Some time has passed: shows what has lasted long enough, and says what is waited for where there is nothing to see.
    pub(super) fn tick(&mut self, doing: &Doing) {
        let due: Vec<String> =
            self.open.iter().filter(|(_, bar)| bar.is_due()).map(|(key, _)| key.clone()).collect();
        due.iter().for_each(|key| self.show(key));
        let shown: Vec<&Bar> = self.open.values().filter(|bar| bar.shown).collect();
        if !shown.is_empty() {
            shown.iter().for_each(|bar| bar.bar.tick());
            self.shown = Instant::now();
            return;
        }
        if self.shown.elapsed() < QUIET {
            return;
        }
        let screen = &self.screen;
        let waiting = self.waiting.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            screen.add(bar)
        });
        #[cfg(unix)]
        if self.hush.is_none() {
            self.hush = super::hush::Hush::now();
        }
        waiting.set_message(doing.to_string());
        waiting.tick();
    }

    /// Takes the bar away; gives what it was called, and its bytes.
    pub(super) fn finished(&mut self, key: &str) -> Option<(String, u64)> {
        let mut bar = self.open.remove(key)?;
        // What did not have to be moved is done, too.
        let rest = bar.moved.finish(bar.bar.length());
        if let Some(total) = &self.total {
            total.bar.inc(rest);
        }
        bar.clear(&self.screen);
        self.shown = Instant::now();
        Some((bar.bar.prefix(), bar.bar.length().unwrap_or_default().max(bar.bar.position())))
    }

    /// Takes the bar of what did not arrive away.
    pub(super) fn gone(&mut self, key: &str) {
        if let Some(bar) = self.open.remove(key) {
            bar.clear(&self.screen);
        }
    }

    /// Takes all bars off the screen, for good: work that was told to stop may still tell of itself for a moment.
    pub(super) fn end(&mut self) {
        let _ = self.screen.clear();
        self.screen.set_draw_target(ProgressDrawTarget::hidden());
        for bar in self.open.drain().map(|(_, bar)| bar).chain(self.total.take()) {
            bar.clear(&self.screen);
        }
        if let Some(waiting) = self.waiting.take() {
            waiting.finish_and_clear();
        }
        #[cfg(unix)]
        drop(self.hush.take());
    }
}

impl Bar {
    fn new(name: &str, size: Option<u64>) -> Self {
        // Drawn nowhere until it is put on the screen.
        let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::hidden());
        bar.set_style(style(size.is_some()));
        bar.set_prefix(name.to_owned());
        Self { bar, begun: Instant::now(), shown: false, moved: Moved::default() }
    }

    /// Whether it is time to show it.
    fn is_due(&self) -> bool {
        !self.shown && self.begun.elapsed() >= PATIENCE
    }

    fn clear(&self, screen: &MultiProgress) {
        self.bar.finish_and_clear();
        if self.shown {
            screen.remove(&self.bar);
        }
    }
}

fn style(sized: bool) -> ProgressStyle {
    let template = match (sized, width()) {
        (true, WIDE..) => "{prefix:24!} {wide_bar} {done:>9} of {all:<9} {rate:>11} {left:>10}",
        (true, NARROW..) => "{prefix:19!} {wide_bar} {done:>9} {left:>10}",
        (true, _) => "{prefix:18!} {percent:>3} % {done:>9}",
        (false, WIDE..) => "{prefix:24!} {spinner} {done:>9} {rate:>11}",
        (false, _) => "{prefix:18!} {spinner} {done:>9}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .with_key("done", |state: &ProgressState, f: &mut dyn std::fmt::Write| {
            let _ = f.write_str(&show::bytes(state.pos()));
        })
        .with_key("all", |state: &ProgressState, f: &mut dyn std::fmt::Write| {
            let _ = f.write_str(&show::bytes(state.len().unwrap_or_default()));
        })
        .with_key("rate", |state: &ProgressState, f: &mut dyn std::fmt::Write| {
            let _ = write!(f, "{}/s", show::bytes(whole(state.per_sec())));
        })
        .with_key("left", |state: &ProgressState, f: &mut dyn std::fmt::Write| {
            let _ = match state.eta().as_secs() {
                0 => Ok(()),
                seconds @ 1..10 => write!(f, "{seconds} s"),
                seconds => f.write_str(&show::duration(Duration::from_secs(seconds))),
            };
        })
        .progress_chars("━╸ ")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is positive, and shown rounded"
)]
fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(unix)]
fn width() -> u16 {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(WIDE, |size| size.ws_col)
}

#[cfg(not(unix))]
fn width() -> u16 {
    WIDE
}
