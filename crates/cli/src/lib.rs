//! OCI content in plain directories: pack images and artifacts offline, copy, carry and serve them.
