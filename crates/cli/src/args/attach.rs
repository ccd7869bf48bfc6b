//! `attach`.

use clap::Args;
use transship_spec::MediaType;

use super::pack::{AnnotationFlags, PackOutput};

/// `transship attach`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship attach oci:out:v1 sbom.spdx.json\n  \
    transship attach docker://localhost:5000/team/app:v1 report.txt:text/plain --artifact-type application/vnd.example.report\n\n\
    Without --artifact-type the files must be of a kind that is known by its content, which says also the type of each file \
    without one: an SBOM (SPDX, CycloneDX), results of a scan (SARIF), an in-toto statement, a DSSE envelope or a sigstore \
    bundle. What is attached goes where SUBJECT is, and comes along when SUBJECT is copied. A registry that does not list \
    what refers to something gets the list under the fallback tag. An archive is written anew.")]
pub struct Attach {
    /// What the artifact refers to: in a layout, an archive or a registry
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// Files, each a blob with its title; none is needed where an annotation says it all
    #[arg(value_name = "[TITLE=]FILE[:TYPE]", required_unless_present_any = ["annotation", "annotation_file"])]
    pub(crate) inputs: Vec<transship_pack::File>,
    /// What sort of artifact it is; default: what the files are
    #[arg(long, value_name = "TYPE")]
    pub(crate) artifact_type: Option<MediaType>,
    /// Use FILE as the config
    #[arg(long, value_name = "FILE[:TYPE]")]
    pub(crate) config: Option<String>,
    /// Put it there instead of where SUBJECT is, under the name that LOCATION has, if any
    #[arg(short, long, value_name = "LOCATION")]
    pub(crate) to: Option<String>,
    /// In a layout, list it under the fallback tag, too, for readers that go by that
    #[arg(long)]
    pub(crate) fallback_tag: bool,
    #[command(flatten)]
    pub(crate) annotations: AnnotationFlags,
    /// When the artifact was made (RFC 3339); default: SOURCE_DATE_EPOCH, else nothing
    #[arg(long, value_name = "TIME")]
    pub(crate) created: Option<String>,
    #[command(flatten)]
    pub(crate) out: PackOutput,
}
