//! Packs a poem, a kind of one's own, and pushes it: `cargo run --example push_poem -- ode.txt localhost:5000/team/ode:v1`
use transship_copy::{Destination, Options, Select, Selection, Source, endpoint, plan, requests};
use transship_layout::Layout;
use transship_pack::kinds::{Described, Request, pack_kind};
use transship_registry::{Client, Settings};
use transship_spec::Reference;

const POEM: &str = r#"
name = "poem"
about = "poems"
artifact-type = "application/vnd.example.poem.v1"
[[input]]
match = "*.txt"
type = "text/plain"
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, reference] = arguments.as_slice() else { return Err("name a file and a reference".into()) };
    let scratch = tempfile::tempdir()?;
    let layout = Layout::options().create(scratch.path().join("layout"))?;
    let poem = Described::parse("poem.toml", POEM)?;
    let packed = pack_kind(&layout, None, &poem, &Request::of([file])?)?;

    let select = Select::One(Some(packed.descriptor.digest.to_string()));
    let source = Source { endpoint: endpoint::layout(layout), select };
    let (client, reference) = (Client::new(Settings::default())?, Reference::parse(reference)?);
    let destination = Destination::Registry { client, reference };
    let report = tokio::runtime::Runtime::new()?.block_on(async {
        let requests = requests(&[source], &destination, &Selection::default()).await?;
        Ok::<_, transship_copy::Error>(plan(requests, &Options::default()).await.run().await)
    })?;
    let failure = report.failures().find_map(|root| root.failure.as_ref());
    failure.map_or(Ok(()), |failure| Err(failure.message.clone().into()))
}
