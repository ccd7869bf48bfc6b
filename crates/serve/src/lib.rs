//! An image layout answered over the OCI distribution API.
