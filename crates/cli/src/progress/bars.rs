//! Progress on a terminal: a bar a transfer, and one for all of them.
//!
//! A bar appears when its transfer has lasted for a moment: what is small would only flicker.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::Item;
use crate::show;

/// How long a transfer lasts before it gets a bar.
const PATIENCE: Duration = Duration::from_millis(300);

/// On narrower terminals bars say less.
const WIDE: u16 = 80;

/// The bars of the transfers under way.
#[derive(Debug)]
pub(super) struct Bars {
    screen: MultiProgress,
    total: Option<Bar>,
    open: HashMap<String, Bar>,
    /// Transfers that have begun; the total of one of them would only say the same.
    begun: usize,
    #[cfg(unix)]
    hush: Option<super::hush::Hush>,
}

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    begun: Instant,
    shown: bool,
}

impl Bars {
    pub(super) fn new() -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        Self {
            screen,
            total: None,
            open: HashMap::new(),
            begun: 0,
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
        self.begun += 1;
        self.open.insert(item.key.to_owned(), Bar::new(item.name, item.size));
    }

    pub(super) fn advanced(&mut self, key: &str, bytes: u64) {
        if let Some(total) = &mut self.total {
            if self.begun > 1 && total.is_due() {
                total.bar = self.screen.add(total.bar.clone());
            }
            total.bar.inc(bytes);
        }
        let Some(bar) = self.open.get_mut(key) else { return };
        if bar.is_due() {
            #[cfg(unix)]
            if self.hush.is_none() {
                self.hush = super::hush::Hush::now();
            }
            let at_top = self.total.as_ref().filter(|total| total.shown);
            bar.bar = match at_top {
                Some(total) => self.screen.insert_before(&total.bar, bar.bar.clone()),
                None => self.screen.add(bar.bar.clone()),
            };
        }
        bar.bar.inc(bytes);
    }

    /// Takes the bar away; gives what it was called, and its bytes.
    pub(super) fn finished(&mut self, key: &str) -> Option<(String, u64)> {
        let bar = self.open.remove(key)?;
        bar.clear(&self.screen);
        Some((bar.bar.prefix(), bar.bar.length().unwrap_or_default().max(bar.bar.position())))
    }

    /// Takes all bars off the screen, for good: work that was told to stop may still tell of itself for a moment.
    pub(super) fn end(&mut self) {
        let _ = self.screen.clear();
        self.screen.set_draw_target(ProgressDrawTarget::hidden());
        for bar in self.open.drain().map(|(_, bar)| bar).chain(self.total.take()) {
            bar.clear(&self.screen);
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
        Self { bar, begun: Instant::now(), shown: false }
    }

    /// Whether it is time to show it; true once.
    fn is_due(&mut self) -> bool {
        let due = !self.shown && self.begun.elapsed() >= PATIENCE;
        self.shown |= due;
        due
    }

    fn clear(&self, screen: &MultiProgress) {
        self.bar.finish_and_clear();
        if self.shown {
            screen.remove(&self.bar);
        }
    }
}

fn style(sized: bool) -> ProgressStyle {
    let wide = width() >= WIDE;
    let template = match (sized, wide) {
        (true, true) => "{prefix:24!} {wide_bar} {done:>9} of {all:<9} {rate:>11} {left:>10}",
        (true, false) => "{prefix:19!} {wide_bar} {done:>9} {left:>10}",
        (false, true) => "{prefix:24!} {spinner} {done:>9} {rate:>11}",
        (false, false) => "{prefix:19!} {spinner} {done:>9}",
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
