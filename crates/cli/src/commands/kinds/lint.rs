//! `transship kinds lint`: what is doubtful of an artifact, or of a description of a kind, for its author.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use transship_pack::Error;
use transship_pack::kinds::{Described, Finding, Rule, Severity, Sight, lint, lint_described};
use transship_spec::Kind;

use crate::args::LintKinds;
use crate::content::Content;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::show;

/// `transship.kinds.lint/v1`
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// The location, or the file.
    location: &'a str,
    findings: Vec<Told<'a>>,
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    severity: Severity,
    #[serde(flatten)]
    finding: &'a Finding,
    remedy: &'static str,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    errors: usize,
    warnings: usize,
    notes: usize,
}

pub(super) fn run(args: &LintKinds, context: &Context) -> Result<(), Failure> {
    let what = show::plain(&args.what);
    let findings = look(args, context).cannot(format!("lint {what}"))?;
    let count = |severity| findings.iter().filter(|finding| finding.rule.severity() == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let summary = Summary { errors, warnings, notes: count(Severity::Note) };
    tell(args, &findings, summary, context)?;
    match (errors, warnings) {
        (0, warnings) if warnings > 0 && args.strict => {
            let count = show::count(warnings, "warning", "warnings");
            Err(Failure::new(Kind::Invalid, format!("{what} has {count} (--strict)")))
        }
        (0, _) => Ok(()),
        _ => {
            Err(Failure::new(Kind::Invalid, format!("{what} has {}", show::count(errors, "error", "errors"))))
        }
    }
}

fn look(args: &LintKinds, context: &Context) -> Result<Vec<Finding>, Failure> {
    let path = Path::new(&args.what);
    if args.what.ends_with(".toml") && path.is_file() {
        return match Described::open(path) {
            Ok(kind) => Ok(lint_described(&kind)),
            Err(Error::Description { line, column, rule, .. }) => {
                let place = format!("line {line}, column {column}");
                Ok(vec![Finding::new(Rule::Description, place, rule)])
            }
            Err(error) => Err(error.into()),
        };
    }
    let (place, content) = Content::at(&args.what, context, &args.read.reading, &args.read.network)?;
    let descriptor = content.resolve(None)?;
    let document = content.document(&descriptor)?;
    Ok(lint(&Sight::of(&document).listed(&descriptor).named(place.reference())))
}

/// A line a finding, and what they come to; what to do about each rule once, on standard error.
fn tell(args: &LintKinds, findings: &[Finding], summary: Summary, context: &Context) -> Result<(), Failure> {
    let rules: BTreeSet<Rule> = findings.iter().map(|finding| finding.rule).collect();
    for rule in rules.iter().filter(|rule| rule.severity() != Severity::Note) {
        context.progress.note(&format!("{rule}: {}", rule.remedy()));
    }
    if context.output.is_json() {
        let told = findings.iter().map(|finding| {
            let (severity, remedy) = (finding.rule.severity(), finding.rule.remedy());
            Told { severity, finding, remedy }
        });
        let findings = told.collect();
        return context
            .output
            .json("transship.kinds.lint/v1", &Report { location: &args.what, findings, summary });
    }
    let width = Rule::ALL.iter().map(|rule| rule.code().len()).max().unwrap_or_default();
    for Finding { rule, place, message, .. } in findings {
        let place = if place.is_empty() { String::new() } else { format!("{}: ", show::plain(place)) };
        let message = show::plain(message);
        context.output.line(format!("{:<7}  {rule:<width$}  {place}{message}", rule.severity()))?;
    }
    let Summary { errors, warnings, notes } = summary;
    context.output.line(format!(
        "{}, {}, {}",
        show::count(errors, "error", "errors"),
        show::count(warnings, "warning", "warnings"),
        show::count(notes, "note", "notes")
    ))
}
