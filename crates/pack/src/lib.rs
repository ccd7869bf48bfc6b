//! Files become layers, images and artifacts in an image layout, the same bytes every time.
