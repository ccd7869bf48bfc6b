//! What becomes the layers of an image, in the order in which it was typed: clap keeps inputs and flags apart.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// Inputs and layers that were packed before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) Vec<Part>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Input(PathBuf),
    Layer(LayerFile),
}

/// `FILE=DESCRIPTOR`. The last `=` parts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerFile {
    pub(crate) path: PathBuf,
    pub(crate) descriptor: PathBuf,
}

/// What clap is told of them.
#[derive(Debug, Args)]
struct Typed {
    /// Directories, tars (plain, gzip or zstd) and mtree specifications, each a layer
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// A layer that pack layer made; it takes its turn among the INPUTs as typed
    #[arg(long, value_name = "FILE=DESCRIPTOR", value_parser = layer_file)]
    layer: Vec<LayerFile>,
}

fn layer_file(text: &str) -> Result<LayerFile, String> {
    match text.rsplit_once('=') {
        Some((path, descriptor)) if !path.is_empty() && !descriptor.is_empty() => {
            Ok(LayerFile { path: path.into(), descriptor: descriptor.into() })
        }
        _ => Err("it is not FILE=DESCRIPTOR, two files that pack layer wrote".to_owned()),
    }
}

impl FromArgMatches for Parts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let places = |name: &str| matches.indices_of(name).into_iter().flatten();
        let typed = Typed::from_arg_matches(matches)?;
        let inputs = places("inputs").zip(typed.inputs.into_iter().map(Part::Input));
        let layers = places("layer").zip(typed.layer.into_iter().map(Part::Layer));
        let mut parts: Vec<_> = inputs.chain(layers).collect();
        parts.sort_by_key(|(place, _)| *place);
        Ok(Self(parts.into_iter().map(|(_, part)| part).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Parts {
    fn augment_args(command: Command) -> Command {
        Typed::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Typed::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Parts, Error> {
        let words = std::iter::once("pack").chain(words.iter().copied()).map(std::ffi::OsString::from);
        let command = Parts::augment_args(Command::new("pack"));
        Parts::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    #[test]
    fn inputs_and_layers_are_in_the_order_in_which_they_were_typed() {
        let input = |path: &str| Part::Input(path.into());
        let layer = |path: &str| Part::Layer(LayerFile { path: path.into(), descriptor: "d".into() });
        for (words, parts) in [
            (
                &["a", "--layer", "x=d", "b", "--layer=y=d", "c"][..],
                vec![input("a"), layer("x"), input("b"), layer("y"), input("c")],
            ),
            (&["--layer", "x=d", "--layer", "y=d", "a"], vec![layer("x"), layer("y"), input("a")]),
            (&["--layer", "a=b=d"], vec![layer("a=b")]),
            (&[], vec![]),
        ] {
            assert_eq!(parse(words).unwrap().0, parts, "{words:?}");
        }
        for bad in ["x", "=d", "x="] {
            assert!(parse(&["--layer", bad]).is_err(), "{bad}");
        }
    }
}
