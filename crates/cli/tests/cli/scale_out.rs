//! `docs/scale-out.md`: its manifests are YAML, its files of settings are understood, and its commands can be typed.

use clap::Parser as _;
use granit_parser::{Event, Parser};
use transship_cli::{Cli, Command};
use transship_copy::sync::Config;

const TEXT: &str = include_str!("../../../../docs/scale-out.md");

/// The blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = TEXT.split(fence.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// All texts of a YAML document.
fn scalars(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for next in Parser::new_from_str(text) {
        let (event, _) = next.unwrap_or_else(|error| unreachable!("{error}: {text}"));
        if let Event::Scalar(scalar, ..) = event {
            found.push(scalar.into_owned());
        }
    }
    found
}

/// A command line after whatever counts has put in its numbers.
fn counted(line: &str) -> Vec<String> {
    let mut line = line.trim_end_matches(" &").replace('"', "");
    for (from, to) in [
        ("$(JOB_COMPLETION_INDEX)", "7"),
        ("$SLURM_ARRAY_TASK_ID", "7"),
        ("${{ strategy.job-index }}", "3"),
        ("${{ strategy.job-total }}", "4"),
        ("$((CI_NODE_INDEX - 1))", "3"),
        ("$CI_NODE_TOTAL", "4"),
        ("$shard", "3"),
    ] {
        line = line.replace(from, to);
    }
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_manifest_is_yaml_and_every_file_of_settings_is_understood() {
    let yaml = blocks("yaml");
    assert_eq!(yaml.len(), 5);
    let mut settings = 0;
    for block in &yaml {
        let embedded = scalars(block).into_iter().filter(|text| text.starts_with("version: 1\n"));
        let whole = Some(block.clone()).filter(|block| block.starts_with("version: 1\n"));
        for text in embedded.chain(whole) {
            let config = Config::parse(&text, std::path::Path::new("")).unwrap();
            assert!(!config.copies.is_empty());
            settings += 1;
        }
    }
    assert_eq!(settings, 2);
}

#[test]
fn every_command_line_can_be_typed() {
    let shell = blocks("sh").join("\n");
    let mut lines: Vec<String> = shell
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("transship "))
        .map(str::to_owned)
        .collect();
    for block in blocks("yaml") {
        let scalars = scalars(&block);
        lines.extend(scalars.iter().filter(|text| text.starts_with("transship ")).cloned());
        // A list of words, as Kubernetes has it.
        if let Some(at) = scalars.iter().position(|text| text == "command") {
            let words = scalars[at + 1..].iter().take_while(|text| *text != "env");
            lines.push(words.cloned().collect::<Vec<_>>().join(" "));
        }
    }
    assert_eq!(lines.len(), 7, "{lines:#?}");
    for line in lines {
        let words = counted(&line);
        let cli = Cli::try_parse_from(&words).unwrap_or_else(|error| unreachable!("{line}: {error}"));
        assert!(matches!(cli.command, Command::Sync(_)), "{line}");
        assert!(line.contains("--shard") || line.contains("--plan"), "{line}");
    }
}
