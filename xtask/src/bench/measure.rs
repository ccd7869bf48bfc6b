//! One run of a command: how long, and how much memory at the most; and what many runs tell.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::shown;

/// After this a run is ended.
const LIMIT: Duration = Duration::from_secs(600);

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Run {
    pub(super) seconds: f64,
    /// Processor time of the command and all that it started, in seconds.
    pub(super) cpu: f64,
    /// The most memory that the process held, in MiB.
    pub(super) memory: f64,
    /// What came out, in bytes, where that is told.
    pub(super) bytes: u64,
    /// What a registry was asked, where that is told.
    pub(super) requests: u64,
}

/// Runs a command to its end, quietly.
///
/// # Errors
///
/// If it fails, or takes more than ten minutes; the message has what it said on standard error.
pub(super) fn time(command: &mut Command) -> Result<Run> {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let (begin, cpu) = (Instant::now(), cpu_of_children()?);
    let mut child = command.spawn().map_err(|error| format!("cannot run {}: {error}", shown(command)))?;
    let mut said = child.stderr.take();
    // Read beside the run, so that a chatty one never waits for us.
    let listener = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(said) = &mut said {
            // What is not text is not shown.
            let _ = said.read_to_string(&mut text);
        }
        text
    });
    let (success, memory) = watch(&mut child, begin)?;
    let seconds = begin.elapsed().as_secs_f64();
    let said = listener.join().unwrap_or_default();
    if success {
        Ok(Run { seconds, cpu: cpu_of_children()? - cpu, memory, ..Run::default() })
    } else {
        Err(format!("{} failed: {}", shown(command), said.trim()).into())
    }
}

/// Waits for the end, looking at the memory now and then; the kernel keeps the maximum.
fn watch(child: &mut Child, begin: Instant) -> Result<(bool, f64)> {
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0.0_f64;
    loop {
        if let Some(peak) = fs::read_to_string(&status).ok().as_deref().and_then(peak) {
            memory = memory.max(peak);
        }
        if let Some(status) = child.try_wait()? {
            return Ok((status.success(), memory));
        }
        if begin.elapsed() > LIMIT {
            child.kill()?;
            return Err("it took more than ten minutes".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processor time of all children that have ended, and of theirs, in seconds.
fn cpu_of_children() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    ticks(&stat).map(|ticks| ticks as f64 / 100.0).ok_or_else(|| "cannot read /proc/self/stat".into())
}

/// Hundredths of a second: the fields `cutime` and `cstime`, which are the sixteenth and the one after it. The second is a
/// name in parentheses, which may have blanks.
fn ticks(stat: &str) -> Option<u64> {
    let mut times = stat.rsplit(')').next()?.split_whitespace().skip(13);
    Some(times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?)
}

fn peak(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// A contender and its runs, one a round.
#[derive(Debug)]
pub(super) struct Contender {
    name: String,
    runs: Vec<Run>,
}

impl Contender {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), runs: Vec::new() }
    }

    pub(super) fn add(&mut self, run: Run) {
        self.runs.push(run);
    }
}

/// Prints the contenders beside the first of them, which is the peer that the others are held against.
pub(super) fn report(title: &str, contenders: &[Contender]) {
    let Some(peer) = contenders.first() else { return };
    println!("\n{title} ({} rounds; medians, ratios within rounds)", peer.runs.len());
    for contender in contenders {
        let speed = ratio(peer, contender, |run| run.seconds);
        let bytes = ratio(contender, peer, |run| run.bytes as f64);
        let (seconds, memory) = (contender.median(|run| run.seconds), contender.median(|run| run.memory));
        let cpu = contender.median(|run| run.cpu);
        print!("  {:<44} {seconds:8.2} s  {speed:5.2}× as fast", contender.name);
        print!("  {cpu:8.2} s of CPU  {memory:7.1} MiB");
        let requests = contender.median(|run| run.requests as f64);
        if requests > 0.0 {
            print!("  {requests:6} requests");
        }
        if peer.runs.iter().all(|run| run.bytes > 0) {
            print!("  {:+6.2} % bytes", (bytes - 1.0) * 100.0);
        }
        println!();
    }
}

impl Contender {
    fn median(&self, value: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(value).collect())
    }
}

/// The median over the rounds of what `over` has, divided by what `under` has.
fn ratio(over: &Contender, under: &Contender, value: impl Fn(&Run) -> f64) -> f64 {
    median(over.runs.iter().zip(&under.runs).map(|(over, under)| value(over) / value(under)).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::program;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn the_peak_of_memory_is_read_as_the_kernel_tells_it() {
        assert!((peak("Name:\tx\nVmHWM:\t    2048 kB\n").unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(peak("Name:\tx\n"), None);
    }

    #[test]
    fn the_processor_time_of_children_is_read_as_the_kernel_tells_it() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 130 20 20 0";
        assert_eq!(ticks(stat), Some(150));
        assert_eq!(ticks("7 (x) S 1"), None);
    }

    #[test]
    fn a_run_that_fails_is_an_error_with_what_it_said() {
        assert!(time(&mut program("true")).is_ok());
        let error = time(program("sh").args(["-c", "echo no >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().ends_with("failed: no"), "{error}");
    }
}
