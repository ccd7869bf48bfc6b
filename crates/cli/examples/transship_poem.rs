//! `transship` with one kind more, which is written in Rust: `cargo run --example transship_poem -- kinds`
use transship_cli::Cli;
use transship_pack::Error;
use transship_pack::kinds::{Kind, Kinds, Made, Making, Packing, Request, Sight, Sign};
use transship_spec::{Descriptor, Manifest, MediaType};

const TYPE: &str = "application/vnd.example.poem.v1";

#[derive(Debug)]
struct Poem;

impl Kind for Poem {
    fn name(&self) -> &'static str {
        "poem"
    }

    fn about(&self) -> &'static str {
        "poems, of which none is empty"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        sight.is_type(TYPE).then_some(Sign::ArtifactType)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

impl Packing for Poem {
    fn inputs(&self) -> &'static str {
        "POEM.txt"
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let input = request.one_input()?;
        let poem = making.store(&input.path)?;
        if poem.size == 0 {
            return Err(Error::not_of_kind(&*input.title, "poem", "it is empty"));
        }
        let mut manifest = Manifest::new(
            making.empty()?,
            vec![Descriptor { media_type: MediaType::parse("text/plain")?, ..poem }],
        );
        manifest.artifact_type = Some(MediaType::parse(TYPE)?);
        Ok(Made::of(manifest.to_document()?))
    }
}

fn main() -> std::process::ExitCode {
    let Ok(kinds) = Kinds::built_in().with(Poem) else { return std::process::ExitCode::FAILURE };
    Cli::with_kinds(kinds).main()
}
