//! Findings as lines or as JSON, and what they come to.

use std::collections::BTreeSet;

use serde::Serialize;
use transship_layout::check::{Code, Finding, Report, Severity};
use transship_spec::Digest;

use super::repair::Told;
use crate::args;
use crate::context::Context;
use crate::exit::Failure;
use crate::show;

/// Findings on their way to standard output: lines at once, JSON when all are there.
pub(super) struct Shown<'a> {
    context: &'a Context,
    kept: Vec<Finding>,
    codes: BTreeSet<Code>,
    failure: Option<Failure>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self { context, kept: Vec::new(), codes: BTreeSet::new(), failure: None }
    }

    pub(super) fn take(&mut self, finding: &Finding) {
        self.codes.insert(finding.code);
        if self.context.output.is_json() {
            self.kept.push(finding.clone());
        } else if self.failure.is_none() {
            let print = || self.failure = self.context.output.line(line(finding)).err();
            self.context.progress.beside(print);
        }
    }

    /// Says what all came to.
    pub(super) fn finish(
        self,
        args: &args::Check,
        report: &Report,
        repair: Option<&Told>,
    ) -> Result<(), Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        for code in self.codes.iter().filter(|code| code.severity() > Severity::Note) {
            self.context.progress.note(&format!("{code}: {}", code.remedy()));
        }
        let output = self.context.output;
        if output.is_json() {
            let document = Document {
                location: &args.location,
                findings: &self.kept,
                summary: Summary::of(report),
                closure: report.closure.as_ref(),
                repair,
            };
            return output.json("transship.check/v1", &document);
        }
        output.line(summary(report))?;
        match &report.closure {
            Some(closure) => output.line(format!("closure {closure}")),
            None if self.codes.contains(&Code::BlobGone) => {
                output.line("closure unknown: the layout changed while it was checked")
            }
            None => output.line("closure unknown: not everything is there and right"),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    location: &'a str,
    findings: &'a [Finding],
    summary: Summary,
    closure: Option<&'a Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<&'a Told>,
}

#[derive(Serialize)]
struct Summary {
    errors: u64,
    warnings: u64,
    notes: u64,
    blobs: u64,
    bytes: u64,
    trusted: u64,
    orphans: Option<u64>,
}

impl Summary {
    fn of(report: &Report) -> Self {
        let Report { errors, warnings, notes, blobs, bytes, trusted, orphans, .. } = *report;
        Self { errors, warnings, notes, blobs, bytes, trusted, orphans }
    }
}

/// Severity and code in columns, then place and message, which have no length of their own.
fn line(finding: &Finding) -> String {
    let width = Code::ALL.iter().map(|code| code.name().len()).max().unwrap_or_default();
    let place = show::plain(&finding.place.to_string());
    let message = show::plain(&finding.message);
    format!("{:<7}  {:<width$}  {place}  {message}", finding.severity(), finding.code)
}

fn summary(report: &Report) -> String {
    let mut text = format!(
        "{}, {}: {}, {}, {}",
        number(report.blobs, "blob", "blobs"),
        show::bytes(report.bytes),
        number(report.errors, "error", "errors"),
        number(report.warnings, "warning", "warnings"),
        number(report.notes, "note", "notes"),
    );
    if report.trusted > 0 {
        text.push_str(&format!("; {} of the blobs not read again (--trust-stamps)", report.trusted));
    }
    text
}

/// A number and what it counts.
pub(super) fn number(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
