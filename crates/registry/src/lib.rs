//! One OCI registry over HTTP: authentication, retry, blobs, manifests, tags, referrers.
