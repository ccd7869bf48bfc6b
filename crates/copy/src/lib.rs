//! The copy engine: plans what is missing between layouts and registries, and moves only that.
