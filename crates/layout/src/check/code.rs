//! The codes of findings: one table, from which names, severities and remedies come.
//!
//! A code is stable: scripts may rely on its name, and on its severity never growing within a major release. The same
//! table as text is `codes.md`, held equal by a test.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing, and right as it is.
    Note,
    /// A SHOULD of the specification is not kept, something could not be verified, or other tools will stumble.
    Warning,
    /// A MUST is broken, or content is missing, wrong or unsafe.
    Error,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

macro_rules! codes {
    ($($variant:ident $name:literal $severity:ident $meaning:literal $remedy:literal;)*) => {
        /// What is wrong, as a word for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word that stands for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What it means, in general.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

codes! {
    // The folder.
    MarkerMissing "marker-missing" Error
        "there is no file `oci-layout`"
        "write {\"imageLayoutVersion\":\"1.0.0\"} into it, if this is a layout";
    MarkerMalformed "marker-malformed" Error
        "`oci-layout` is not a JSON object with a text `imageLayoutVersion`"
        "write {\"imageLayoutVersion\":\"1.0.0\"} into it";
    VersionUnknown "version-unknown" Error
        "the layout has another version than 1.0.0"
        "read it with a tool that knows this version";
    IndexMissing "index-missing" Error
        "there is no `index.json`"
        "copy the layout again from where it came from";
    IndexMalformed "index-malformed" Error
        "`index.json` is not an index in well-formed JSON"
        "copy the layout again from where it came from; the blobs can still be used with --from";
    EntryMalformed "entry-malformed" Error
        "an entry of `index.json` is not a descriptor"
        "name its content again, and remove the entry";
    BlobsMissing "blobs-missing" Error
        "there is no folder `blobs`"
        "copy the layout again from where it came from";
    FileUnsafe "file-unsafe" Error
        "a link that leads out, a FIFO, a device, a socket or a folder stands where a file should"
        "remove it; if it is a link that is meant, --links follow reads it";
    FileUnreadable "file-unreadable" Error
        "the marker, the index or a folder of blobs cannot be read"
        "see to the disk or the rights, then check again";
    RootFileUnknown "root-file-unknown" Note
        "the layout's folder holds something that the specification does not name"
        "nothing: it is allowed";
    StrayFile "stray-file" Warning
        "something lies among the blobs that is no blob"
        "remove it, if no other program is writing";
    BlobNameCase "blob-name-case" Warning
        "a blob is named in upper case, and so nothing finds it"
        "rename it to lower case";
    BlobNameClash "blob-name-clash" Warning
        "two names among the blobs differ in case alone, and a file system that ignores case keeps only one"
        "remove the one that is no blob";
    PartialLeft "partial-left" Note
        "a download that was interrupted waits to go on"
        "copy again to finish it, or remove the file";
    TemporaryLeft "temporary-left" Note
        "a temporary file is there of a writer that was killed"
        "nothing: the next writer removes what is left over";
    Quarantined "quarantined" Note
        "a corrupt blob lies in quarantine"
        "remove it when nobody wants to look at it any more";

    // Names.
    NameAmbiguous "name-ambiguous" Warning
        "several entries with different content bear one name"
        "give the name once more with transship tag";
    EntryDuplicate "entry-duplicate" Warning
        "two entries say the same"
        "remove one of them";
    NameGrammar "name-grammar" Warning
        "a name does not fit the grammar of org.opencontainers.image.ref.name"
        "give another name, if other tools are to read it";
    NameCase "name-case" Warning
        "two names differ in case alone"
        "give one of them another name";
    NameNested "name-nested" Note
        "a member of a nested index has a name, which counts only in `index.json`"
        "nothing, unless it was meant as a tag";

    // Blobs.
    BlobMissing "blob-missing" Error
        "content that something names is not there"
        "transship check --repair --from LOCATION, or copy it again";
    BlobCorrupt "blob-corrupt" Error
        "a blob does not hash to its name"
        "transship check --repair --from LOCATION, or copy it again";
    BlobUnreadable "blob-unreadable" Error
        "a blob cannot be read"
        "see to the disk or the rights, then check again";
    SizeMismatch "size-mismatch" Error
        "a descriptor names another size than its content has"
        "build the document that holds the descriptor again";
    DigestUnverifiable "digest-unverifiable" Warning
        "a digest is of an algorithm that is not built in; only the size was checked"
        "verify it with a tool that knows the algorithm";
    BlobOnlyEmbedded "blob-only-embedded" Warning
        "content is embedded in its descriptor, and not there as a blob, which registries and other tools want"
        "transship blob put puts it there";
    BlobEmpty "blob-empty" Warning
        "a blob of no bytes, which not every registry takes"
        "use the empty descriptor instead";
    BlobGone "blob-gone" Note
        "content went while it was looked at, and nothing leads to it any more"
        "check again, when nobody writes, for a closure digest";
    BlobOrphan "blob-orphan" Note
        "nothing leads to a blob"
        "transship gc removes it";
    HoleDeclared "hole-declared" Note
        "content of a platform that was left out on purpose is not there"
        "nothing: the entry says so, or --sparse does";
    NondistributableAbsent "nondistributable-absent" Note
        "a layer that should not be distributed is not there"
        "nothing: it is fetched from its own place";

    // Descriptors.
    DataMismatch "data-mismatch" Error
        "the content embedded in a descriptor is not that of its digest"
        "build the document that holds the descriptor again";
    EmptyDescriptorWrong "empty-descriptor-wrong" Error
        "a descriptor of the empty type names something else than {}"
        "build the document that holds the descriptor again";
    UrlInvalid "url-invalid" Error
        "one of the `urls` is not an absolute URL"
        "leave it out, or correct it";
    UrlScheme "url-scheme" Warning
        "one of the `urls` is neither http nor https"
        "leave it out, or name a place on the web";
    MediaTypeConflict "media-type-conflict" Note
        "one blob is named with several media types that mean different things"
        "nothing, if the bytes are meant to be both";
    MediaTypeDeprecated "media-type-deprecated" Warning
        "a media type that should not be used for new content"
        "build it again with a current type";
    DockerMediaType "docker-media-type" Note
        "a document in Docker's format"
        "nothing: other tools read it; copy --convert oci makes it OCI's";
    PlatformUnknown "platform-unknown" Note
        "a platform with words that Go and the specification do not know"
        "nothing, if the processor is meant";
    PlatformMissing "platform-missing" Warning
        "an image in an index has a platform of its own, and the index does not tell it"
        "build the index again with platforms";
    PlatformMismatch "platform-mismatch" Warning
        "the config of an image is for another platform than its index says"
        "build the index again";
    PlatformDuplicate "platform-duplicate" Warning
        "an index has several images for one platform, of which the first is taken"
        "leave one of them out";
    AttestationDangling "attestation-dangling" Warning
        "an attestation speaks of an image that its index does not hold"
        "build the index again";
    AnnotationReserved "annotation-reserved" Warning
        "an annotation lies beneath the prefix of the OCI without being defined there"
        "use a prefix of your own";
    AnnotationKey "annotation-key" Note
        "the key of an annotation has no domain in front"
        "nothing, if nobody else uses the same word";
    AnnotationTime "annotation-time" Warning
        "org.opencontainers.image.created is not a time in the form of RFC 3339"
        "write it as 2025-01-31T12:00:00Z";

    // Documents.
    JsonMalformed "json-malformed" Error
        "a document or config is not well-formed JSON: also a name twice, or not UTF-8"
        "build it again";
    DocumentInvalid "document-invalid" Error
        "a manifest or index breaks a MUST of the specification"
        "build it again";
    DocumentUnsupported "document-unsupported" Warning
        "a manifest that cannot be read here, so that what it needs is not known"
        "push the image again with a current tool";
    MediaTypeMismatch "media-type-mismatch" Error
        "a document is not of the media type that its descriptor names"
        "build the document that holds the descriptor again";
    MediaTypeMissing "media-type-missing" Warning
        "a document does not name its own media type"
        "nothing, if tools that need it are not used";
    ListNull "list-null" Warning
        "a list is null, which some tools refuse"
        "build the document again with []";
    LayersEmpty "layers-empty" Warning
        "a manifest has no layers, and should have one"
        "use the empty descriptor as its layer";
    ArtifactTypeMissing "artifact-type-missing" Error
        "a manifest with an empty config has no `artifactType`"
        "build it again with a type";
    ArtifactConfigType "artifact-config-type" Warning
        "a manifest with an `artifactType` has the config type of an image"
        "use the empty config or a type of its own";
    SubjectAbsent "subject-absent" Note
        "what a referrer refers to is not there"
        "nothing: copy the subject too, if it is wanted";
    IndexNested "index-nested" Note
        "an index within an index"
        "nothing, if your tools read them";
    DepthExceeded "depth-exceeded" Error
        "indexes lie within indexes deeper than anything reads"
        "build it again, flatter";
    LimitExceeded "limit-exceeded" Error
        "something is larger than what is read here"
        "build it again, smaller";

    // Configs.
    ConfigInvalid "config-invalid" Error
        "the config of an image breaks a MUST of the specification"
        "build the image again";
    ConfigTime "config-time" Error
        "a time in a config is not in the form of RFC 3339"
        "build the image again";
    ConfigPort "config-port" Warning
        "an exposed port is not PORT, PORT/tcp or PORT/udp"
        "build the image again";
    DiffIdCount "diff-id-count" Error
        "a config has not as many diff IDs as its manifest has layers"
        "build the image again";
    HistoryCount "history-count" Warning
        "the history does not tell of as many layers as there are"
        "build the image again, if a tool stumbles over it";

    // Layers.
    DiffIdMismatch "diff-id-mismatch" Error
        "a layer does not decompress to its diff ID"
        "build the image again";
    LayerUnverifiable "layer-unverifiable" Warning
        "a layer cannot be decompressed by this build, so that its diff ID is not verified"
        "check it with a build that knows the compression";
    LayerUndecodable "layer-undecodable" Error
        "a layer's compressed stream is broken, though it is the blob that was named"
        "build the image again";
    LayerCompression "layer-compression" Error
        "a layer is not compressed as its media type says"
        "build the image again";
    LayerNotTar "layer-not-tar" Error
        "a layer is not a tar, or ends in the middle of one"
        "build the image again";
    LayerEndMissing "layer-end-missing" Warning
        "the tar of a layer has no end mark"
        "build the image again, if a tool stumbles over it";
    LayerTrailing "layer-trailing" Warning
        "something follows the end mark of a layer's tar"
        "find out what it is: no tool unpacks it";
    LayerPathUnsafe "layer-path-unsafe" Error
        "a path in a layer leads out of the root"
        "do not unpack it with careless tools; build the image again";
    LayerEntryDuplicate "layer-entry-duplicate" Error
        "a layer has two entries for one path"
        "build the image again";
    LayerEntryType "layer-entry-type" Warning
        "an entry of a layer is of a kind that the specification does not name"
        "build the image again without it";
    LayerSparseFile "layer-sparse-file" Warning
        "a layer holds a sparse file, which not every tool reads"
        "build the image again with plain files";
    LayerLinkDangling "layer-link-dangling" Warning
        "a hard link in a layer leads to nothing that came before it in the layer"
        "build the image again";
    LayerWhiteout "layer-whiteout" Error
        "a whiteout names nothing, or is not a file of no bytes"
        "build the image again";
    LayerRoot "layer-root" Error
        "the entry for the root of a layer is not a folder"
        "build the image again";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_documentation_is_complete() {
        let mut table = String::from("| code | severity | what it means | what to do |\n|---|---|---|---|\n");
        for code in Code::ALL {
            let line =
                format!("| `{code}` | {} | {} | {} |\n", code.severity(), code.meaning(), code.remedy());
            table.push_str(&line);
        }
        assert!(include_str!("codes.md") == table, "codes.md must be:\n{table}");
    }

    #[test]
    fn names_are_words_joined_by_hyphens_and_unlike_each_other() {
        for (at, code) in Code::ALL.iter().enumerate() {
            let words = code.name().split('-');
            assert!(words.clone().all(|word| !word.is_empty()), "{code}");
            assert!(words.flat_map(str::bytes).all(|byte| byte.is_ascii_lowercase()), "{code}");
            assert!(Code::ALL[..at].iter().all(|other| other.name() != code.name()), "{code}");
        }
    }
}
