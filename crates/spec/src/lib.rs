//! The vocabulary of OCI content: digests, descriptors, documents, references, platforms.
