//! The tar of a layer, as a check looks at it.

use transship_codec::Limits;
use transship_layout::check::{Finding, Options};
use transship_spec::MediaType;

use crate::single::Single;
use crate::tars;

/// The body: the bytes of a layer.
pub fn run(bytes: &[u8]) {
    look(bytes);
    let mended = tars::mend(bytes);
    if mended != bytes {
        look(&mended);
    }
}

fn look(layer: &[u8]) {
    let mut options = Options::default();
    options.threads = 1;
    options.limits = Limits { max_output: 16 << 20, max_window_log: 20, ..Limits::default() };
    for media_type in [MediaType::OCI_LAYER_TAR, MediaType::OCI_LAYER_GZIP] {
        let at_once = Single::new(media_type.clone(), layer, usize::MAX).findings(&options);
        let in_pieces = Single::new(media_type, layer, 7).findings(&options);
        // Messages may tell where in the stream a decoder was, and that depends on how much it held.
        let told = |findings: &[Finding]| {
            findings.iter().map(|found| (found.code, found.place.clone())).collect::<Vec<_>>()
        };
        assert_eq!(told(&at_once), told(&in_pieces), "findings do not depend on how the bytes came");
        assert!(at_once.len() < 1000, "findings are bounded");
        for finding in &at_once {
            assert!(!finding.to_string().chars().any(char::is_control), "{finding:?}");
        }
    }
}
