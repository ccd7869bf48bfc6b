//! An OCI image layout on disk: blobs, index, names, locks and leases.
